"""`python -m app` does what the command `maskloop` does."""

import sys

from app.main import main

if __name__ == "__main__":
    sys.exit(main())
