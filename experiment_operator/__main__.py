"""`python -m experiment_operator` is the command."""

import sys

from experiment_operator.cli import main

sys.exit(main())
