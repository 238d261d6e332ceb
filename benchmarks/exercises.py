"""How long a check takes: for each exercise the right answer, and the slowest wrong one.

    python benchmarks/exercises.py           prints the table, writes results/exercises.json
    python benchmarks/exercises.py --quick   two rounds instead of five, writes nothing

A right answer runs on all inputs. A wrong one is also compared with every mistake and every two of
them, and its input made smaller; the wrong answers are each mistake, each pair that the exercise
can make, and one that makes no known mistake. Times include the child process that each check
starts where the system has one. The promise is 0.3 s.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ["BNLIB_PROGRESS"] = ""  # the reader's own progress is not ours to write

from bnlib._provenance import provenance
from bnlib.exercises import Exercise, catalog, isolation
from bnlib.exercises.checker import check_answer

RESULT = Path(__file__).parent / "results" / "exercises.json"
PROMISE = 0.3


def wrong_answers(exercise: Exercise) -> dict:
    singles = {
        mistake.name: function for mistake in exercise.mistakes for function in mistake.functions
    }
    pairs = {f"{first.name} + {second.name}": f for first, second, f in exercise.pairs()}
    return {**singles, **pairs, "unknown": lambda *case, **options: 0.123456}


def seconds_for(exercise: Exercise, answer: Callable, rounds: int) -> float:
    """The least of the rounds: whatever else the machine does only adds to it."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        check_answer(exercise, answer)
        times.append(time.perf_counter() - start)
    return min(times)


def measure(exercise: Exercise, rounds: int) -> dict:
    """Every wrong answer once; then the five that took longest, and the right one, again."""
    wrong = wrong_answers(exercise)
    once = {name: seconds_for(exercise, answer, 1) for name, answer in wrong.items()}
    late = sorted(once, key=once.get)[-5:]
    again = {name: min(once[name], seconds_for(exercise, wrong[name], rounds - 1)) for name in late}
    slowest = max(again, key=again.get)
    return {
        "right": round(seconds_for(exercise, exercise.solution, rounds), 4),
        "slowest_wrong": round(again[slowest], 4),
        "slowest_wrong_answer": slowest,
        "wrong_answers": len(wrong),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, writes nothing")
    options = parser.parse_args()
    rounds = 2 if options.quick else 5
    start = time.perf_counter()
    results = {}
    for exercise in catalog():
        check_answer(exercise, exercise.solution)  # the first call imports what it needs
        row = results[exercise.id] = measure(exercise, rounds)
        late = "  slower than promised" if row["slowest_wrong"] > PROMISE else ""
        print(
            f"{exercise.id:<26} right {1e3 * row['right']:5.0f} ms   slowest of "
            f"{row['wrong_answers']:>2} wrong {1e3 * row['slowest_wrong']:5.0f} ms "
            f"({row['slowest_wrong_answer']}){late}",
            flush=True,
        )
    slowest = max(row["slowest_wrong"] for row in results.values())
    print(f"slowest check {slowest:.3f} s; promised {PROMISE} s")
    if not options.quick:
        report = {
            "provenance": provenance()
            | {
                "process": "forked" if isolation.can_fork() else "same",
                "wall_seconds": round(time.perf_counter() - start, 1),
            },
            "rounds": rounds,
            "promise_seconds": PROMISE,
            "slowest_seconds": slowest,
            "exercises": results,
        }
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
