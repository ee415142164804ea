"""`models`: what Valar serves."""

from __future__ import annotations

from typing import Annotated

import typer

from valar_batch.cli.options import AccessOptions, TargetOptions


def command(
    target: TargetOptions,
    access: AccessOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the models at Valar, with the prices that this version knows."""
    from valar_batch.cli.render import print_json, print_table, say, table_of
    from valar_batch.core.prices import shipped_prices
    from valar_batch.flow.events import silent
    from valar_batch.session import calling, connected, open_home

    with (
        connected(target.target(), open_home(), access.access()) as connection,
        calling(connection, silent) as valar,
    ):
        served = valar.models()
    prices = shipped_prices()
    if as_json:
        print_json(
            [
                {
                    "id": model.id,
                    "windows": {
                        name: {
                            "input": price.input,
                            "cached_input": price.cached_input,
                            "output": price.output,
                        }
                        for name, price in known.windows.items()
                    }
                    if (known := prices.models.get(model.id))
                    else None,
                }
                for model in served
            ]
        )
        return
    table = table_of(
        "Model", "Images", "Input", "Cached input", "Output", "Flex input", "Flex output",
        right=("Input", "Cached input", "Output", "Flex input", "Flex output"),
    )  # fmt: skip
    for model in served:
        known = prices.models.get(model.id)
        standard, flex = (prices.price(model.id, window) for window in ("standard", "flex"))
        table.add_row(
            model.id,
            "" if known is None else "yes" if known.images else "no",
            f"{standard.input:g}" if standard else "",
            f"{standard.cached_input:g}" if standard else "",
            f"{standard.output:g}" if standard else "",
            f"{flex.input:g}" if flex else "",
            f"{flex.output:g}" if flex else "",
        )
    print_table(table)
    say(f"USD per 1,000,000 tokens in the standard window, as published on {prices.date}")
