"""`python -m valar_batch` is `valar-batch`."""

from valar_batch.cli.main import main

if __name__ == "__main__":
    main()
