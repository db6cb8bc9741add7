"""``python -m fusem`` is the command ``fusem``."""

from fusem.cli import main

if __name__ == "__main__":
    main()
