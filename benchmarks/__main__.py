"""`python -m benchmarks`."""

import sys
import traceback

ERROR = 2


def load_main() -> None:
    """Import the commands and run one.

    They import the reference, which may be somebody's working tree that does not even compile:
    left to Python, that ends with 1, which is "slower" and "a bar missed".
    """
    try:
        from benchmarks.cli import main  # noqa: PLC0415
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(ERROR)
    except Exception as error:  # noqa: BLE001 - explained, with its traceback
        traceback.print_exc()
        print(f"error: nothing was measured: {error}", file=sys.stderr)
        sys.exit(ERROR)
    main(prog_name="python -m benchmarks")


if __name__ == "__main__":
    load_main()
