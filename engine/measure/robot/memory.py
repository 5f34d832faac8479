"""How much memory the process has taken."""

import sys


def peak_memory_mib() -> float | None:
    """Most memory the process has held since its start, in MiB; None where that is not told (Windows)."""
    if sys.platform == "win32":
        return None
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        return largest / (1 << 20)  # bytes there, KiB elsewhere
    return largest / (1 << 10)
