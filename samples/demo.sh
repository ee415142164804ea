#!/bin/sh
# The main job on a sample: `make demo` runs this from the checkout's root.
set -eu

mkdir -p demo
export VALAR_BATCH_HOME="$PWD/demo/home"

echo "Labelling 300 reviews on the local Valar: offline, without a key, for nothing."
echo
if [ -e demo/labelled.parquet ]; then
    echo "This was done before: the same command finds its run and sends nothing again."
    echo
fi
echo "\$ valar-batch run samples/reviews.csv --local --model zai-org/GLM-5.1-FP8 \\"
echo "      --id review_id --prompt 'Sentiment: {{ review }}' --to demo/labelled.parquet --overwrite"
valar-batch run samples/reviews.csv --local --model zai-org/GLM-5.1-FP8 \
    --id review_id --prompt 'Sentiment: {{ review }}' --to demo/labelled.parquet --overwrite
echo
echo "The first rows of demo/labelled.parquet; [rehearsal] marks the local Valar's answers:"
python samples/show.py demo/labelled.parquet review status output_text

run=$(valar-batch list --json | python -c 'import json, sys; print(json.load(sys.stdin)[0]["run"])')
cat <<END
The run is $run. Go on with
  . .venv/bin/activate                           the command on your path
  VALAR_BATCH_HOME=demo/home valar-batch status  where the run stands
  valar-batch run --help                         every option
  README.md                                      the way to the real Valar
END
