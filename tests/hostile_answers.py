"""Answers that break, cheat, flood or never end, and what the reader is to be told.

HOSTILE holds (name, cell, mistake, English text that must appear). The cell is what a reader would
run: it defines `standardize` for the exercise of that name and checks it. The same table runs in
Python and in the page. ENDLESS never returns: Python's alarm or the page's clock ends it.
NATIVE would end the page's Python as a whole; only a process of its own survives it.
"""

CHECK = '\n\ncheck("standardize", standardize)\n'


def body(*lines: str) -> str:
    """A cell whose answer consists of these lines; the first is line 2."""
    return "def standardize(x):\n" + "".join(f"    {line}\n" for line in lines) + CHECK


def returns(expression: str) -> str:
    return body(f"return {expression}")


def defines(*lines: str, answer: str) -> str:
    """Definitions, and an answer that returns an expression made of them."""
    return "\n".join(lines) + f"\n\n\ndef standardize(x):\n    return {answer}\n" + CHECK


SAME = "equals the input"  # what an answer is told that returns x
RIGHT = "(x - x.mean(axis=0)) / x.std(axis=0)"

Hostile = tuple[str, str, str | None, str]

ERRORS: list[Hostile] = [
    ("divides_by_zero", returns("1 / 0"), "raised", "line 2. ZeroDivisionError"),
    ("misspells", body("mean = x.mean(0)", "return x - maen"), "raised", "line 3. NameError"),
    ("wrong_attribute", returns("x.average(axis=0)"), "raised", "AttributeError"),
    ("wrong_broadcast", returns("x - x.mean(axis=1)"), "raised", "could not be broadcast"),
    ("wrong_axis_number", returns("x.mean(axis=2)"), "raised", "out of bounds"),
    ("asserts", body("assert x.shape == (1, 1)"), "raised", "AssertionError"),
    (
        "raises_deep_inside",
        defines(
            "def deep(x, n):",
            "    return deep(x, n - 1) if n else x / [][1]",
            answer="deep(x, 50)",
        ),
        "raised",
        "line 2. IndexError",
    ),
    ("recurses", returns("standardize(x)"), "raised", "RecursionError"),
    (
        "recurses_two_ways",
        defines("def other(x):", "    return standardize(x)", answer="other(x)"),
        "raised",
        "RecursionError",
    ),
    ("exits", body("import sys", "sys.exit(3)"), "raised", "SystemExit"),
    ("exits_by_builtin", body("exit()"), "raised", "line 2"),
    ("interrupts", body("raise KeyboardInterrupt"), "raised", "KeyboardInterrupt"),
    ("generator_exit", body("raise GeneratorExit"), "raised", "GeneratorExit"),
    ("base_exception", body("raise BaseException('no')"), "raised", "BaseException: no"),
    (
        "exception_without_words",
        defines(
            "class Mute(Exception):",
            "    def __str__(self):",
            "        raise ValueError",
            "def fail():",
            "    raise Mute",
            answer="fail()",
        ),
        "raised",
        "Mute",
    ),
    (
        "exception_of_many_words",
        body("raise ValueError('word ' * 10**6)"),
        "raised",
        "ValueError: word word",
    ),
    (
        "exception_group",
        body("raise ExceptionGroup('both', [ValueError(1), KeyError(2)])"),
        "raised",
        "ExceptionGroup: both",
    ),
    ("asks_the_reader", body("scale = input('scale?')"), "raised", "EOFError"),
    ("imports_nothing", body("import no_such_module"), "raised", "ModuleNotFoundError"),
    ("opens_a_file", body("return open('no such file')"), "raised", "FileNotFoundError"),
    ("not_written_yet", body("raise NotImplementedError"), "not_attempted", "Not attempted"),
]

CALLS: list[Hostile] = [
    ("no_parameter", f"def standardize():\n    pass\n{CHECK}", "call_failed", "1 input"),
    ("two_parameters", f"def standardize(x, y):\n    pass\n{CHECK}", "call_failed", "1 input"),
    ("keyword_only", f"def standardize(*, x):\n    pass\n{CHECK}", "call_failed", "1 input"),
    ("a_number", f"standardize = 3\n{CHECK}", "not_callable", "got int"),
    ("a_string", f"standardize = 'x - mean'\n{CHECK}", "not_callable", "got str"),
    (
        "called_too_early",
        returns("x").replace(", standardize)", ", standardize(np.ones((3, 2))))"),
        "not_callable",
        "got ndarray",
    ),
    ("a_class", f"class standardize:\n    pass\n{CHECK}", "call_failed", "takes no arguments"),
    ("a_builtin", f"standardize = len\n{CHECK}", "wrong_shape", "()"),
]

VALUES: list[Hostile] = [
    ("nothing", body("x - x.mean(axis=0)"), "returned_none", "return missing"),
    ("prints_only", body("print(x)"), "returned_none", "return missing"),
    ("text", returns("'<script>alert(1)</script>'"), "wrong_type", "str"),
    ("bytes", returns("b'123'"), "wrong_type", "bytes"),
    ("an_object", returns("object()"), "wrong_type", "object"),
    ("a_class_back", returns("int"), "wrong_type", "type"),
    ("itself", returns("standardize"), "wrong_type", "function"),
    ("a_module", returns("np"), "wrong_type", "module"),
    ("a_set", returns("{1, 2}"), "wrong_type", "set"),
    ("a_dict", returns("{'mean': 0}"), "wrong_type", "dict"),
    ("a_map", returns("map(abs, x)"), "wrong_type", "map"),
    ("a_generator", body("yield x"), "wrong_type", "generator"),
    (
        "a_coroutine",
        f"async def standardize(x):\n    return {RIGHT}\n{CHECK}",
        "wrong_type",
        "coroutine",
    ),
    ("ragged", returns("[[1.0], [2.0, 3.0]]"), "wrong_type", "list"),
    ("objects_in_an_array", returns("np.array([object()])"), "wrong_type", "ndarray (object)"),
    (
        "dates",
        returns("np.array(['2015-02-11'], dtype='M8[D]')"),
        "wrong_type",
        "ndarray (datetime64",
    ),
    ("words_in_an_array", returns("np.array(['a', 'b'])"), "wrong_type", "list"),
    ("holds_itself", body("z = []", "z.append(z)", "return z"), "too_large", "too large"),
    ("a_huge_integer", returns("10**5000"), "too_large", "too large"),
    ("all_nan", returns("x * np.nan"), "not_finite", "nan"),
    ("one_infinity", body(f"z = {RIGHT}", "z[1, 1] = np.inf", "return z"), "not_finite", "1 of"),
    ("too_precise", returns(f"({RIGHT}).astype(np.float16)"), "wrong_dtype", "float16"),
    ("truncated", returns(f"({RIGHT}).astype(int)"), "wrong_dtype", "int"),
    ("a_row_too_few", returns(f"({RIGHT})[1:]"), "wrong_shape", "should be"),
    ("transposed", returns(f"({RIGHT}).T"), "wrong_shape", "transposed"),
    (
        "a_view_that_is_huge",
        returns("np.broadcast_to(0.0, (3000, 1000))"),
        "too_large",
        "too large",
    ),
    ("a_long_list", returns("[0.0] * 10**6"), "too_large", "too large"),
    ("all_the_memory", returns("np.ones((10**6, 10**6))"), "raised", "line 2"),
    ("random", returns("np.random.default_rng().normal(size=x.shape)"), None, "the values differ"),
]

OBJECTS: list[Hostile] = [
    (
        "equal_to_everything",
        defines(
            "class Same:",
            "    __eq__ = __le__ = __ge__ = lambda self, other: True",
            "    __hash__ = None",
            answer="Same()",
        ),
        "wrong_type",
        "Same",
    ),
    (
        "array_that_fails",
        defines(
            "class Hidden:",
            "    def __array__(self, dtype=None, copy=None):",
            "        raise ValueError('not now')",
            answer="Hidden()",
        ),
        "raised",
        "not now",
    ),
    (
        "array_of_another_shape_each_time",
        defines(
            "class Moving:",
            "    size = 0",
            "    def __array__(self, dtype=None, copy=None):",
            "        Moving.size += 1",
            "        return np.zeros(Moving.size)",
            answer="Moving()",
        ),
        "wrong_shape",
        "should be",
    ),
    (
        "a_repr_that_fails",
        defines(
            "class Nameless:",
            "    def __repr__(self):",
            "        return 1 / 0",
            answer="[Nameless()]",
        ),
        "wrong_type",
        "list",
    ),
    (
        "an_array_that_agrees",
        defines(
            "class Yes(np.ndarray):",
            "    __eq__ = __sub__ = __abs__ = lambda *inputs: np.zeros(3)",
            "    def __array_function__(self, *inputs):",
            "        return True",
            "    def __array_ufunc__(self, *inputs, **options):",
            "        return True",
            answer="np.zeros(x.shape).view(Yes)",
        ),
        None,
        "All values are the same, 0",
    ),
    (
        "a_class_that_lies",
        defines(
            "class Liar:",
            "    @property",
            "    def __class__(self):",
            "        raise RuntimeError('who asks?')",
            answer="Liar()",
        ),
        "raised",
        "who asks?",
    ),
    (
        "a_dict_that_changes",
        defines(
            "class Growing(dict):",
            "    def items(self):",
            "        self[len(self)] = 0",
            "        return self.items()",
            answer="Growing(a=1)",
        ),
        "wrong_type",
        "dict",
    ),
    (
        "attributes_without_end",
        defines(
            "class Endless:",
            "    def __getattr__(self, name):",
            "        return Endless()",
            answer="Endless()",
        ),
        "wrong_type",
        "Endless",
    ),
]

SPOILS: list[Hostile] = [
    (
        "changes_its_input",
        body("x -= x.mean(axis=0)", "x /= x.std(axis=0)", "return x"),
        "changed_input",
        "changed its input",
    ),
    (
        "reshapes_its_input",
        body(f"z = {RIGHT}", "x.shape = -1", "return z"),
        "changed_input",
        "input",
    ),
    (
        "replaces_mean",
        body("np.mean = lambda x, axis=None: 0.0", f"return {RIGHT}"),
        "replaced_functions",
        "np.mean",
    ),
    (
        "replaces_the_comparison",
        body("np.isclose = np.all = np.allclose = lambda *a, **k: True", "return x"),
        "replaced_functions",
        "np.isclose",
    ),
    ("deletes_asarray", body("del np.asarray", "return x"), "replaced_functions", "np.asarray"),
    (
        "replaces_len_and_isinstance",
        body("import builtins", "builtins.len = builtins.isinstance = None", "return x"),
        "replaced_functions",
        "isinstance, len",
    ),
    (
        "replaces_all_builtins",
        body(
            "import builtins",
            "for name in dir(builtins):",
            "    if name.islower() and name != 'setattr': setattr(builtins, name, None)",
            "return x",
        ),
        "replaced_functions",
        "print",
    ),
    (
        "replaces_numpy_before_the_check",
        f"np.mean = np.std = None\n{returns('np.asarray(x)')}",
        None,
        SAME,
    ),
    ("errors_on", body("np.seterr(all='raise')", "return x"), None, SAME),
    (
        "warnings_as_errors",
        body("import warnings", "warnings.simplefilter('error')", "return x"),
        None,
        SAME,
    ),
    (
        "fewer_digits",
        body("np.set_printoptions(precision=0, threshold=1)", "return x"),
        None,
        SAME,
    ),
    (
        "no_recursion",
        body("import sys", "sys.setrecursionlimit(150)", "return x"),
        None,
        SAME,
    ),
    (
        "no_output",
        body("import sys", "sys.stdout = sys.stderr = None", "return x"),
        None,
        SAME,
    ),
    ("no_keyboard", body("import sys", "sys.stdin = None", "return x"), None, SAME),
    (
        "closes_the_output",
        body("import sys", "sys.stdout.close()", "return x"),
        None,
        SAME,
    ),
    ("seeds", body("np.random.seed(0)", "return x"), None, SAME),
    (
        "traces",
        body("import sys", "sys.settrace(lambda *event: None)", "return x"),
        None,
        SAME,
    ),
    (
        "counts_its_calls",
        f"calls = []\n{body('calls.append(x)', f'z = {RIGHT}', 'return z * len(calls)')}",
        None,
        "the values differ",
    ),
    ("prints_a_megabyte", body("print('x' * 10**6)", "return x"), None, SAME),
    ("prints_markup", body("print('<b onclick=x>')", "return x"), None, SAME),
]

CELLS: list[Hostile] = [
    ("a_bracket_left_open", "def standardize(x:\n    pass\n", "syntax_error", "Line 1"),
    ("a_misspelt_keyword", "def standardize(x):\n    retrun x\n", "syntax_error", "Line 2"),
    ("a_wrong_indent", "def standardize(x):\nreturn x\n", "syntax_error", "Line 2"),
    ("a_return_outside", "x = 1\nreturn x\n", "syntax_error", "Line 2"),
    ("an_open_string", "s = 'standardize\n", "syntax_error", "Line 1"),
    ("a_zero_byte", "x = '\0'\n", "syntax_error", "null bytes"),
    ("too_many_brackets", "(" * 1000, "syntax_error", "Line 1"),
    ("too_deep", "-" * 100_000 + "1", "syntax_error", "Line 1"),
    ("an_error_in_the_cell", f"y = 1 / 0\n{returns('x')}", "raised", "line 1. ZeroDivision"),
    ("leaves_the_cell", "raise SystemExit\n", "raised", "SystemExit"),
    ("checks_nothing", "x = 1\n", "nothing_checked", "nothing was checked"),
    ("an_empty_cell", "", "nothing_checked", "nothing was checked"),
    ("loses_check", f"check = None\n{returns('x')}", "raised", "TypeError"),
    (
        "ends_with_a_liar",
        "class Liar:\n    @property\n    def __class__(self):\n        return 1 / 0\n\n\nLiar()\n",
        "nothing_checked",
        "nothing was checked",
    ),
    ("another_exercise", "check('standardise', len)\n", "raised", "ValueError"),
]

HOSTILE = ERRORS + CALLS + VALUES + OBJECTS + SPOILS + CELLS

ENDLESS: list[Hostile] = [
    ("loops", body("while True:", "    pass"), "timed_out", "line"),
    ("sleeps", body("import time", "time.sleep(1000)"), "timed_out", "line 3"),
    (
        "loops_and_catches",
        body("while True:", "    try: x = x + 0", "    except Exception: continue"),
        "timed_out",
        "never ends",
    ),
    (
        "loops_when_interrupted",
        body("import time", "try: time.sleep(1000)", "except BaseException: time.sleep(1000)"),
        "timed_out",
        "never ends",
    ),
    ("prints_for_ever", body("while True:", "    print(x)"), "timed_out", "never ends"),
    ("collects_for_ever", body("return sum(1 for _ in iter(int, 1))"), "timed_out", "never ends"),
]

NATIVE: list[Hostile] = [
    (
        "loops_and_catches_all",
        body("while True:", "    try: x = x + 0", "    except BaseException: continue"),
        "timed_out",
        "never ends",
    ),
    (
        "never_returns_to_python",
        body("return sum(range(10**15))"),
        "timed_out",
        "never ends",
    ),
    (
        "turns_the_alarm_off",
        body("import signal", "signal.setitimer(signal.ITIMER_REAL, 0)", "while True: pass"),
        "timed_out",
        "never ends",
    ),
    ("ends_the_process", body("import os", "os._exit(0)"), "crashed", "stopped"),
    ("kills_itself", body("import os", "os.kill(os.getpid(), 9)"), "crashed", "stopped"),
    (
        "reads_address_zero",
        body("import ctypes", "ctypes.string_at(0)"),
        "crashed",
        "stopped",
    ),
    (
        "recurses_without_limit",
        body("import sys", "sys.setrecursionlimit(10**9)", "return standardize(x)"),
        "timed_out",
        "never ends",
    ),
    (
        "leaves_processes_behind",
        body("import os, time", "if os.fork() == 0: time.sleep(1000)", "os._exit(0)"),
        "timed_out",
        "never ends",
    ),
    (
        "takes_the_memory",
        body("z = []", "while True: z.append(np.zeros(10**8))"),
        "raised",
        "Memory",
    ),
    ("closes_every_file", body("import os", "os.closerange(0, 100)", "return x"), "crashed", ""),
]
