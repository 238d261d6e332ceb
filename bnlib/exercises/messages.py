"""What every check can say, whatever the exercise. An exercise's own mistakes are in its file."""

from .language import Text

PASSED = Text(
    ko="통과했습니다. 입력 {cases}가지에서 모두 맞았습니다.",
    en="Passed, on all {cases} inputs.",
)
NOT_ATTEMPTED = Text(
    ko="아직 풀지 않았습니다. raise NotImplementedError를 지우고 그 자리에 답을 써 보세요.",
    en="Not attempted yet. Replace raise NotImplementedError with your answer.",
)
UNFINISHED = Text(
    ko="{line}번째 줄에 raise NotImplementedError가 남아 있습니다. 지우고 그 자리에 답을 써 보세요.",
    en="Line {line} still says raise NotImplementedError. Replace it with your answer.",
)
NOT_CALLABLE = Text(
    ko="함수나 클래스가 필요합니다. 받은 것은 {kind}입니다. 괄호 없이 이름을 넘겨 주세요.",
    en="A function or class is needed, but got {kind}. Pass its name, without calling it.",
)
RAISED = Text(
    ko="{line}번째 줄에서 오류가 났습니다. {error}",
    en="An error was raised at line {line}. {error}",
)
CALL_FAILED = Text(
    ko="함수를 입력 {inputs}개로 부를 수 없었습니다. {error}",
    en="Your function could not be called with {inputs} input(s). {error}",
)
USE_FAILED = Text(
    ko="답을 문제에 적힌 대로 쓸 수 없었습니다. {error}",
    en="Your answer could not be used as the exercise describes. {error}",
)
NO_ERROR = Text(
    ko="이 입력에서는 오류를 일으켜야 합니다({error}). 지금은 오류가 나지 않습니다.",
    en="This input should raise an error ({error}), but your function raises none.",
)
TOO_LARGE = Text(
    ko="돌려준 값이 너무 커서 비교하지 않았습니다. 결과의 크기를 먼저 확인해 보세요.",
    en="The returned value is too large to be compared. Look at its size first.",
)
SYNTAX_ERROR = Text(
    ko="{line}번째 줄을 읽을 수 없습니다. {error}",
    en="Line {line} cannot be read. {error}",
)
NOTHING_CHECKED = Text(
    ko="실행했지만 검사한 것이 없습니다. 마지막 줄에 check(...)를 다시 써 주세요.",
    en="The code ran, but nothing was checked. Put the check(...) line back at the end.",
)
TIMED_OUT = Text(
    ko="{seconds:g}초 안에 끝나지 않아 멈췄습니다. "
    "끝나지 않는 반복이나 너무 오래 걸리는 계산이 있는지 살펴보세요.",
    en="Stopped after {seconds:g} seconds. "
    "Look for a loop that never ends, or a computation that takes too long.",
)
TIMED_OUT_AT = Text(ko="멈춘 곳은 {line}번째 줄입니다.", en="It was at line {line}.")
RETURNED_NONE = Text(
    ko="함수가 None을 돌려주었습니다. return을 잊지 않았나요?",
    en="Your function returned None. Is a return missing?",
)
WRONG_TYPE = Text(
    ko="함수가 돌려준 것은 {got}입니다. 필요한 것은 {expected}입니다.",
    en="Your function returned {got}; {expected} is expected.",
)
WRONG_TYPE_INSIDE = Text(
    ko="이 값은 {got}입니다. 필요한 것은 {expected}입니다.",
    en="This value is {got}; {expected} is expected.",
)
NONE_INSIDE = Text(ko="이 값이 None입니다.", en="This value is None.")
WRONG_KEYS = Text(
    ko="함수가 돌려준 사전의 키는 {got}입니다. 필요한 키는 {expected}입니다.",
    en="Your function returned a dict with the keys {got}; {expected} are expected.",
)
OTHER_ERROR = Text(
    ko="이 입력에서는 {expected}가 나야 합니다. {line}번째 줄에서 다른 오류가 났습니다. {error}",
    en="This input should raise {expected}. Line {line} raised another error. {error}",
)
WRONG_SHAPE = Text(
    ko="결과의 모양이 {got}입니다. 이 입력에 필요한 모양은 {expected}입니다.",
    en="The result has shape {got}; for this input it should be {expected}.",
)
WRONG_DTYPE = Text(
    ko="결과의 자료형이 {got}입니다. 여기서 값이 깎였습니다. 이 입력에 필요한 자료형은 {expected}입니다.",
    en="The result has dtype {got}, which loses precision; for this input it should be {expected}.",
)
NOT_FINITE = Text(
    ko="모양은 맞습니다. 그러나 결과에 nan이나 inf가 있습니다.",
    en="The shape is right, but the result contains nan or inf.",
)
CHANGED_INPUT = Text(
    ko="돌려준 값은 맞습니다. 그러나 함수가 입력을 바꾸었습니다. "
    "호출한 쪽의 데이터가 바뀌지 않도록 입력은 그대로 두고 새로 계산하세요.",
    en="The returned value is right, but your function changed its input. "
    "Leave the input alone and compute anew, so that the caller's data stays as it was.",
)
KEEPS_ALL = Text(
    ko="돌려준 값은 맞습니다. 그러나 객체에 담긴 수가 {before}개였다가, 데이터가 한 번 더 들어오자 "
    "{after}개로 늘었습니다. 들어올 때마다 늘어나는 것을 두지 말고, 다음 통계량을 구하는 데 필요한 것만 남기세요.",
    en="The returned values are right, but the object held {before} numbers, and {after} after one "
    "more update. What it keeps should not grow with the data: "
    "only what the next statistics are computed from is needed.",
)
WARNED = Text(
    ko="돌려준 값은 맞습니다. 그러나 {line}번째 줄에서 경고가 났습니다. {error}",
    en="The returned values are right, but line {line} causes a warning. {error}",
)
VALUES_DIFFER = Text(
    ko="모양은 맞습니다. 값이 다릅니다.",
    en="The shape is right, the values differ.",
)
NUMBER_DIFFERS = Text(ko="값이 다릅니다.", en="The value differs.")
DIFFERENT_TEXT = Text(
    ko="답이 다릅니다. 기대한 것은 {expected}인데 결과는 {got}입니다.",
    en="The answer is a different one: {got} where {expected} is expected.",
)
RETURNED_INPUT = Text(
    ko="돌려준 값이 입력과 똑같습니다. 계산한 것을 돌려주고 있나요?",
    en="What came back equals the input. Do you return what you computed?",
)
EARLIER_VALUES = Text(ko="그 앞의 값은 맞습니다.", en="What comes before it is right.")
NTH_VALUE = Text(ko="{ko} 번째 값을 보세요.", en="Look at the {en} value.")
ITEM = Text(ko="{item} 값을 보세요.", en="Look at {item}.")
OVER_INPUTS = Text(ko="틀린 입력을 모아 보면:", en="Over the inputs that go wrong:")
RIGHT_ELSEWHERE = Text(
    ko="입력 {cases}가지 가운데 {right}가지에서는 맞았습니다.",
    en="It is right on {right} of {cases} inputs.",
)
SECOND_MISTAKE = Text(
    ko="그리고 하나 더 있습니다. 이것부터 고치고 다시 검사해 보세요.",
    en="And there is one more. Mend this one first, then check again.",
)
REPLACED = Text(
    ko="실행하는 동안 다른 것으로 바뀐 함수가 있습니다: {names}. 되돌려 놓았습니다. "
    "이런 함수를 바꾸면 같은 프로그램의 다른 계산이 모두 달라집니다.",
    en="Your function replaced {names}. It has been put back. "
    "Replacing it changes every other computation of the same program.",
)
CRASHED = Text(
    ko="답을 실행하던 파이썬이 멈췄습니다. 재귀가 너무 깊거나 메모리를 너무 많이 쓰는지 살펴보세요.",
    en="The Python that ran your answer stopped. "
    "Look for recursion without end, or for too much memory.",
)
SHAPE_IS_RIGHT = Text(ko="모양은 맞습니다.", en="The shape is right.")

VERDICTS = {
    "passed": Text(ko="✓ 통과", en="✓ Passed"),
    "wrong": Text(ko="✗ 다시", en="✗ Not yet"),
    "untried": Text(ko="○ 시작 전", en="○ Not started"),
}
INPUT = Text(ko="입력 {name}", en="input {name}")
YOURS = Text(ko="내 결과", en="yours")
EXPECTED = Text(ko="기대한 결과", en="expected")
PRINTED = Text(ko="함수가 출력한 것", en="your function printed")
LINE = Text(ko="{line}번째 줄", en="line {line}")

PROGRESS_DAMAGED = Text(
    ko="진도 파일을 읽을 수 없어서 따로 옮겨 두었습니다: {file}",
    en="The progress file could not be read; it has been set aside as {file}",
)
PROGRESS_NOT_KEPT = Text(
    ko="통과한 것을 진도 파일에 적지 못했습니다. {error}",
    en="The pass could not be written to the progress file. {error}",
)
PROGRESS_NOT_READ = Text(
    ko="진도 파일을 열지 못했습니다. {error}",
    en="The progress file could not be opened. {error}",
)
WHOLE_BOOK = Text(ko="전체", en="whole book")
CHAPTER = Text(ko="{number}장", en="chapter {number}")
