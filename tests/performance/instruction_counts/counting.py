"""Build the kernels with their symbols, run cases under callgrind, say what was used."""

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .cases import CASES

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
IGNORED = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "*.so", "*.egg-info", "docs")
IMPORTED = re.compile(r"^\s*(?:from|cimport) qbeconometrics\.kernels\.(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Counts:
    """Instructions of each case that could be run, why others could not, and the processor."""

    instructions: dict[str, int]
    errors: dict[str, str]
    processor: str


def environment(**more):
    """Return what builds and runs see: nothing that changes either from one call to the next."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QBECONOMETRICS_", "PYTHON", "GLIBC_TUNABLES", "LD_"))
    }
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
    return kept | threads | {"PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"} | more


def needed_kernels(folder):
    """Return the names of the kernels that the cases import, and of those which these import."""
    called = (HERE / "cases.py").read_text(encoding="utf-8")
    needed, pending = set(), set(re.findall(r'kernel\("(\w+)"\)', called))
    while pending:
        name = pending.pop()
        needed.add(name)
        for suffix in (".pyx", ".pxd"):
            source = folder / f"{name}{suffix}"
            if source.exists():
                pending |= set(IMPORTED.findall(source.read_text(encoding="utf-8"))) - needed
    return sorted(name for name in needed if (folder / f"{name}.pyx").exists())


def build_with_symbols(source, folder):
    """Copy a tree to a new folder and compile what is needed; return its package folder."""
    shutil.copytree(source, folder, ignore=IGNORED)
    package = folder / "qbeconometrics"
    only = ",".join(needed_kernels(package / "kernels"))
    # Line numbers would only make the build, and callgrind's start, slower.
    settings = {
        "QBECONOMETRICS_SYMBOLS": "1",
        "QBECONOMETRICS_KERNELS": only,
        "CFLAGS": "-g0",
        "PYTHONPATH": "",
    }
    built = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder, env=environment(**settings), capture_output=True, text=True,
    )  # fmt: skip
    if built.returncode:
        raise RuntimeError(f"the kernels do not compile:\n{built.stdout}{built.stderr}")
    return package


def make_inputs(folder):
    subprocess.run([sys.executable, str(HERE / "inputs.py"), str(folder)], check=True,
                   env=environment())  # fmt: skip


def symbol(package, case):
    """Return the name, in the compiled module, of the function that is counted; None if none is."""
    pattern = rb"\0(__pyx_pw_\w*_\d+%s)\0" % case.function.encode()
    found = set()
    for module in (package / "kernels").glob(f"{case.module}.*so"):
        found |= set(re.findall(pattern, module.read_bytes()))
    return found.pop().decode() if len(found) == 1 else None


def count_group(package, inputs, names):
    """Run some cases in one process, whose start takes longer than the cases do."""
    symbols = {name: symbol(package, CASES[name]) for name in names}
    errors = {name: "no such kernel" for name in names if symbols[name] is None}
    names = [name for name in names if name not in errors]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
        for function in sorted({symbols[name] for name in names}):
            # Callgrind counts nothing for a function named in full under both options.
            pattern = f"*{function.removeprefix('__pyx_pw_')}"
            command += [f"--toggle-collect={pattern}", f"--dump-after={function}"]
        command += [sys.executable, str(HERE / "cases.py")]
        command += [str(package), str(inputs), str(output), *names]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"callgrind failed:\n{done.stdout}{done.stderr[-2000:]}")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        instructions, before = {}, 0
        for line in lines[1:]:
            if "error" in line:
                errors[line["case"]] = line["error"]
                continue
            text = Path(f"{output}.{line['dump']}").read_text() if line["dump"] > before else ""
            total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
            if total is None or int(total[1]) == 0:
                raise RuntimeError(f"callgrind counted nothing in {line['case']}")
            instructions[line["case"]], before = int(total[1]), line["dump"]
    return Counts(instructions, errors, lines[0]["processor"])


def count(package, inputs, processes=2):
    """Count every case, in some processes side by side."""
    names = list(CASES)
    groups = [names[start::processes] for start in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        parts = list(pool.map(lambda group: count_group(package, inputs, group), groups))
    found = {name: total for part in parts for name, total in part.instructions.items()}
    errors = {name: error for part in parts for name, error in part.errors.items()}
    return Counts({name: found[name] for name in names if name in found}, errors,
                  parts[0].processor)  # fmt: skip


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]


def toolchain(processor):
    """Return what counts depend on besides the sources."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
    flags = shlex.split(sysconfig.get_config_var("CFLAGS") or "")
    return {
        "compiler": first_line(*compiler, "--version"),
        # Those with a path in them do not change the code.
        "compiler flags": " ".join(flag for flag in flags if "/" not in flag),
        "Cython": importlib.metadata.version("cython"),
        "NumPy": importlib.metadata.version("numpy"),
        "SciPy": importlib.metadata.version("scipy"),
        "C library": " ".join(os.confstr(name) for name in ["CS_GNU_LIBC_VERSION"]),
        "valgrind": first_line("valgrind", "--version"),
        "machine": os.uname().machine,
        "processor": processor,
    }
