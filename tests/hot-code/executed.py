"""Finds the code that a running process needs: which of the linker's input sections it executes.

    executed.py MAP PID SECONDS FILE

MAP is the linker's map of the process' program. Every instruction of the program is replaced by a breakpoint; the
section of the one that is met is put back as it was, and noted. So each section costs one stop, and after the first
seconds the process runs at full speed. Nothing of it is left behind. For x86_64, where the breakpoint is one byte.
"""

import bisect
import ctypes
import os
import re
import signal
import sys
import time
from pathlib import Path

# ptrace(2) of x86_64.
PEEKUSER, POKEUSER, CONT, SEIZE, INTERRUPT = 3, 6, 7, 0x4206, 0x4207
TRACE_CLONE = 8
ANY_THREAD = 0x40000000
INSTRUCTION_POINTER = 16 * 8
BREAKPOINT = b"\xcc"
# The process gives its code's pages back from time to time, and breakpoints with them.
ANEW = 2.0

# An input section of code in lld's map: address, load address, size, alignment, file, name.
LINE = re.compile(r"\s*([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+\s+(\S.*):\((\.text\S*)\)$")


def sections(path):
    """Address, end, file and name of each input section of code."""
    found = []
    for line in Path(path).read_text().splitlines():
        if match := LINE.match(line):
            start, size = int(match[1], 16), int(match[2], 16)
            if size:
                found.append((start, start + size, match[3], match[4]))
    return sorted(found)


class Process:
    """A process whose threads are traced."""

    def __init__(self, pid, code):
        self.pid = pid
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.restype = ctypes.c_long
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        exe = os.readlink(f"/proc/{pid}/exe")
        maps = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
        own = [fields for fields in maps if fields[-1] == exe]
        start, end = own[0][0].split("-")
        base = int(start, 16)
        start, end = next(fields[0] for fields in own if "x" in fields[1]).split("-")
        self.start, self.end = int(start, 16), int(end, 16)
        self.memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        self.code = os.pread(self.memory, self.end - self.start, self.start)
        # What lies between two sections belongs to the first.
        self.starts = [base + section[0] for section in code]
        self.ends = self.starts[1:] + [self.end]
        self.met = {}
        self.threads = set()

    def ptrace(self, request, thread, address=0, data=0):
        ctypes.set_errno(0)
        value = self.libc.ptrace(request, thread, address, data)
        if value == -1 and ctypes.get_errno():
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return value

    def put_back(self, section):
        start, end = self.starts[section], self.ends[section]
        os.pwrite(self.memory, self.code[start - self.start : end - self.start], start)

    def event(self, thread, status):
        """Takes one event in; the signal to go on with, or None where the thread has ended."""
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            self.threads.discard(thread)
            return None
        self.threads.add(thread)
        if status >> 16:
            return 0
        number = os.WSTOPSIG(status)
        if number == signal.SIGTRAP:
            at = (self.ptrace(PEEKUSER, thread, INSTRUCTION_POINTER) & (2**64 - 1)) - 1
            section = bisect.bisect_right(self.starts, at) - 1
            if section >= 0 and at < self.end:
                self.met.setdefault(section, len(self.met))
                self.put_back(section)
                self.ptrace(POKEUSER, thread, INSTRUCTION_POINTER, at)
                return 0
        return number

    def stopped(self):
        """Stops all threads; those that are, each with the signal to go on with."""
        for thread in map(int, os.listdir(f"/proc/{self.pid}/task")):
            if thread not in self.threads:
                self.ptrace(SEIZE, thread, 0, TRACE_CLONE)
                self.threads.add(thread)
        for thread in self.threads:
            self.ptrace(INTERRUPT, thread)
        waiting, signals = set(self.threads), {}
        while waiting:
            thread, status = os.waitpid(-1, ANY_THREAD)
            number = self.event(thread, status)
            waiting.discard(thread)
            if number is not None:
                signals[thread] = number
        return signals

    def arm(self):
        signals = self.stopped()
        os.pwrite(self.memory, BREAKPOINT * len(self.code), self.start)
        for section in self.met:
            self.put_back(section)
        for thread, number in signals.items():
            self.ptrace(CONT, thread, 0, number)

    def trace(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.arm()
            again = time.monotonic() + ANEW
            while time.monotonic() < min(end, again):
                thread, status = os.waitpid(-1, ANY_THREAD | os.WNOHANG)
                if not thread:
                    time.sleep(0.001)
                    continue
                number = self.event(thread, status)
                if number is not None:
                    self.ptrace(CONT, thread, 0, number)
        self.stopped()
        os.pwrite(self.memory, self.code, self.start)
        # Who traces no longer lets all threads go on.


def main():
    code = sections(sys.argv[1])
    pid, seconds, out = int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    process = Process(pid, code)
    process.trace(seconds)
    met = sorted(process.met, key=process.met.get)
    out.write_text("".join(f"{code[section][2]} {code[section][3]}\n" for section in met))
    size = sum(code[section][1] - code[section][0] for section in met)
    print(f"{pid}: {len(met)} of {len(code)} sections, {size} of {len(process.code)} bytes")


if __name__ == "__main__":
    main()
