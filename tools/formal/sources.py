"""The Coq files of proofs/formal: what they declare, and what they must not say."""

import re
from dataclasses import dataclass, field
from pathlib import Path

_FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|bypass_check|"
    r"Unset\s+(?:Guard|Positivity|Universe)\s+Checking)\b")
_SENTENCE = re.compile(
    r"^[ \t]*(?:#\[[^]]*\]\s*)?(?:Local\s+|Global\s+)?"
    r"(Section|Module(?:\s+Type)?|End|Theorem|Corollary|Proposition|Lemma|Fact|Remark|Example|Definition|Fixpoint|"
    r"Instance|Variables?|Hypothesis|Hypotheses|Context)\b[ \t]*(\w*)", re.MULTILINE)
_ENDS = re.compile(r"\b(Qed|Defined)\s*\.")
_PROVED = {"Theorem", "Corollary", "Proposition", "Lemma", "Fact", "Remark", "Example"}
_ASSUMED = {"Variable", "Variables", "Hypothesis", "Hypotheses", "Context"}


def without_comments(text):
    """The text with comments and strings blanked out; every character keeps its place."""
    out, depth, quoted, i = [], 0, False, 0
    while i < len(text):
        two = text[i:i + 2]
        if not quoted and two in ("(*", "*)") and (two == "(*" or depth):
            depth += 1 if two == "(*" else -1
            out.append("  ")
            i += 2
            continue
        if text[i] == '"':
            quoted = not quoted
        blank = depth or quoted or text[i] == '"'
        out.append(" " if blank and text[i] != "\n" else text[i])
        i += 1
    return "".join(out)


@dataclass
class Statement:
    """A theorem or lemma, from its name to the end of its proof."""

    kind: str
    name: str  # the module and the name: gated_linear_attention.chunked_same_recurrent
    full_name: str  # as Coq knows it from anywhere
    first_line: int
    last_line: int
    begin: int  # in bytes, as Coq counts
    end: int


@dataclass
class Source:
    """One file."""

    path: Path
    name: str  # family/name
    text: str
    statements: list = field(default_factory=list)
    mistakes: list = field(default_factory=list)

    @property
    def module(self):
        """The logical name."""
        return "Etalon." + self.name.replace("/", ".")

    @property
    def lines(self):
        """How many lines the file has."""
        return self.text.count("\n")

    def statement_at(self, line):
        """The theorem or lemma whose statement or proof a line belongs to."""
        return next((one for one in self.statements if one.first_line <= line <= one.last_line), None)


def parse(path, name, text=None):
    """Reads a file, or takes the given text for its content."""
    text = path.read_text(encoding="utf-8") if text is None else text
    source = Source(path, name, text)
    code = without_comments(text)

    def line_of(position):
        return text.count("\n", 0, position) + 1

    for match in _FORBIDDEN.finditer(code):
        source.mistakes.append(f"line {line_of(match.start())} says {match.group(1)}")
    stack = []
    for match in _SENTENCE.finditer(code):
        kind, word = match.group(1).split()[0], match.group(2)
        if kind in ("Section", "Module"):
            stack.append((kind, word))
        elif kind == "End" and stack:
            stack.pop()
        elif kind in _ASSUMED and all(outer != "Section" for outer, _ in stack):
            source.mistakes.append(f"line {line_of(match.start())}: {kind} outside a section is an axiom")
        elif kind in _PROVED:
            end = _ENDS.search(code, match.end())
            stop = end.end() if end else len(code)
            inner = ".".join([inside for outer, inside in stack if outer == "Module"] + [word])
            source.statements.append(
                Statement(kind, f"{name.split('/')[-1]}.{inner}", f"{source.module}.{inner}", line_of(match.start()),
                          line_of(stop), len(text[:match.start()].encode()), len(text[:stop].encode())))
    return source


def read_all(folder):
    """Every file below a folder, by name."""
    found = {}
    for path in sorted(folder.rglob("*.v")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        found[name] = parse(path, name)
    return found
