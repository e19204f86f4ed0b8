"""What a worker process may take of its machine, beside memory: open files, and its share of the processors."""

import os


def keep_to(open_files: int, niceness: int) -> None:
    """Let this process, and those that it starts, have no more open files, and give way to others.

    0 open files: as many as whoever started it may have. `niceness` is added: 0 to 19, which waits for everybody else.
    """
    # Imported here: it is Unix's, and commands load this module everywhere.
    import resource  # noqa: PLC0415 - see above

    if open_files:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        bound = open_files if most == resource.RLIM_INFINITY else min(open_files, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (bound, bound))
    if niceness:
        os.nice(niceness)
