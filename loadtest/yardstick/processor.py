"""Processor time, memory and what the machine is, from /proc."""

import os
import platform

TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/<pid>/stat behind the name, which may hold anything."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _seconds(pid, with_children):
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15 if with_children else 13]) / TICK


def of(pid):
    """Processor seconds of a process so far, user and system."""
    return _seconds(pid, with_children=False)


def of_family(pid):
    """Processor seconds of a process, of its children, and of those that have ended."""
    total = _seconds(pid, with_children=True)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if _stat(entry)[1] == str(pid):
                    total += _seconds(entry, with_children=True)
            except OSError:
                pass
    return total


def memory(pid):
    """Resident bytes: now, and at the most so far."""
    found = {}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                found[name] = int(value.split()[0]) * 1024
    return found["VmRSS"], found["VmHWM"]


def stolen():
    """What whoever runs this virtual machine gave to others so far, and all time of its processors, in ticks."""
    with open("/proc/stat") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def stolen_since(before):
    """The share of it: where it is more than a few percent, times are not to be trusted."""
    taken, passed = (now - then for now, then in zip(stolen(), before))
    return f"{taken / max(passed, 1):.1%}"


def machine():
    """What the figures were measured on."""
    with open("/proc/cpuinfo") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        memory_kib = int(file.readline().split()[1])
    return {"processor": models[0] if models else platform.machine(), "cores": os.cpu_count(),
            "memory_gib": round(memory_kib / 2**20, 1), "kernel": platform.release(), "system": platform.system(),
            "load_before": os.getloadavg()[0]}
