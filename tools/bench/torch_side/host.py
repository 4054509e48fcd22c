"""Memory of this process, from the kernel's accounts."""


def status_mib(field):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def resident_mib():
    return status_mib("VmRSS")


def peak_mib():
    return status_mib("VmHWM")


def reset_peak():
    """The peak starts again from what is resident now; False where the kernel does not allow it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False
