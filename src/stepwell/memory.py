"""The memory of a process: how much it may have, and how often it is looked through for what nobody needs."""

import gc


def limit(size: int) -> None:
    """Let what asks for more memory than this fail with MemoryError; 0: as much as there is."""
    if size:
        # Imported here: it is Unix's, and commands load this module everywhere.
        import resource  # noqa: PLC0415 - see above

        # Linux counts what is private here, not what programs map and never touch; elsewhere it may have no effect.
        # The process of a step may have more than its worker, which starts it.
        resource.setrlimit(resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def calm_garbage_collection() -> None:
    """Collect cycles less often, and never look at what is loaded by now.

    Measured: more than a quarter of the time of a worker with a thousand turns was spent looking through them; in the
    parent, each full collection held up whoever asked just then by 25 ms.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()
    _give_back()


def _give_back() -> None:
    """Let the system have what a start has needed for a moment, where the C library keeps that otherwise (glibc)."""
    # Imported here: commands load this module everywhere.
    import ctypes  # noqa: PLC0415 - see above

    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def collect_young() -> None:
    """Collect what was made lately and is garbage by now, when much of that is known to be."""
    gc.collect(1)


def collect_seldom() -> None:
    """Collect cycles less often: what a start loads stays, and a tenth of its time was spent looking through it."""
    gc.set_threshold(50_000, 50, 100)
