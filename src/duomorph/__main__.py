"""`python -m duomorph` is `duomorph`."""

import sys

from duomorph.cli import main

sys.exit(main())
