"""`python -m conformance`."""

import sys
import traceback

# What verdicts.ExitCode and bisect.Answer say; nothing of the suite can be imported in this case.
_ERROR, _CANNOT_TELL, _INTERRUPTED = 2, 125, 130


def load_main() -> None:
    """Import the commands and run one.

    The suite may be somebody's working tree that does not even compile, or lack a dependency: left
    to Python, that ends with 1, which is a red row, and to `git bisect run` a bad commit.
    """
    try:
        from conformance.cli import main  # noqa: PLC0415
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - explained, with its traceback
        traceback.print_exc()
        print(f"Error: the suite cannot be loaded: {error}", file=sys.stderr)
        sys.exit(_CANNOT_TELL if "--bisect" in sys.argv else _ERROR)
    main(prog_name="python -m conformance")


if __name__ == "__main__":
    load_main()
