"""Writes the linker script that lays the code which running processes need side by side.

    layout.py MAP FILE... > docker/hot-code.ld

MAP is the linker's map of the program that was traced, FILE what executed.py noted of one process. What a process needs
alone comes with it, in the order given: the smallest process first, which then maps least.
"""

import bisect
import re
import sys
from pathlib import Path

from executed import sections

HEADER = """\
/* The code that a running pod needs, side by side: first what PID 1 of the SQL container needs, then its agent, then
   the supervisor. The kernel maps code in pieces of 64 KiB, so that what lies scattered is resident several times over.
   Written by tests/hot-code/run. Names that match nothing, of another compiler or another processor, cost nothing. */
SECTIONS {
  .text_hot : {
"""
FOOTER = """\
  }
}
INSERT BEFORE .text;
"""
# How much that is not needed may lie between, of what is: names are shorter then.
BETWEEN = 0.25


def is_rust(file):
    """Whether it is what the compiler makes of all crates together."""
    return file.endswith(".rcgu.o")


def name_of(section):
    """A Rust function's section without the crates' hashes, which each version of a compiler or a crate makes anew."""
    name = re.sub(r"\.\d+$", "", section)
    return re.sub(r"Cs([0-9A-Za-z]{6,13})_", lambda crate: f"Cs{'?' * len(crate[1])}_", name)


def member_pattern(file, section):
    """An object of an archive; of those that the C library picks by the processor, all."""
    archive, _, member = file.rpartition("/")[2].rpartition("(")
    archive = re.sub(r"-[0-9a-f]{16}\.", "-*.", archive)
    member = re.sub(r"^[0-9a-f]{16}-", "*-", member.rstrip(")"))
    processor = r"-(avx|evex|sse|erms|unaligned|avx512)[^.]*\.o$"
    if re.search(processor, member):
        return f"*{archive}:{re.sub(processor, '-*.o', member)}(.text .text.*)"
    return f"*{archive}:{member}({section})"


class Functions:
    """All functions of the program by name, so that a prefix can be weighed."""

    def __init__(self, code):
        self.sizes = {}
        for start, end, file, section in code:
            if is_rust(file):
                name = name_of(section)
                self.sizes[name] = self.sizes.get(name, 0) + end - start
        self.names = sorted(self.sizes)

    def below(self, prefix):
        first = bisect.bisect_left(self.names, prefix)
        return self.names[first : bisect.bisect_left(self.names, prefix + "\x7f")]

    def size(self, names):
        return sum(self.sizes[name] for name in names)

    def prefixes(self, wanted):
        """The shortest prefixes that name what is wanted and little else."""
        found, done = [], set()
        for name in sorted(wanted):
            if name in done:
                continue
            for length in range(len(".text._"), len(name) + 1):
                names = self.below(name[:length])
                needed = self.size(n for n in names if n in wanted)
                if self.size(names) - needed <= BETWEEN * needed:
                    break
            found.append(name[:length])
            done.update(names)
        return found


def main():
    functions = Functions(sections(sys.argv[1]))
    print(HEADER, end="")
    before = set()
    for path in sys.argv[2:]:
        needed = [line.rsplit(" ", 1) for line in Path(path).read_text().splitlines()]
        rust = {name_of(section) for file, section in needed if is_rust(file)} - before
        others = [member_pattern(*line) for line in needed if line[0].endswith(")")]
        before |= rust
        for pattern in dict.fromkeys(others):
            print(f"    {pattern}")
        for prefix in functions.prefixes(rust):
            print(f"    *({prefix}*)")
    print(FOOTER, end="")


if __name__ == "__main__":
    main()
