"""The rows of the deviant engine are run by the suite under test, not by this pytest."""

collect_ignore = ["rows"]
