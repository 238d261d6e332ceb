"""13.3 The bytes that batch normalization cannot avoid moving."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def least_bytes(shape, itemsize):
    """The fewest bytes that batch normalization in training reads from and writes to memory.

    shape     (N, C, *spatial), of x, y, dy and dx alike
    itemsize  bytes in one value: 2 for float16, 4 for float32
    The arrays are so large that nothing of them is still in a cache when they are needed again.
    One pass may sum several things at once. Arrays of C values are too small to count.
    Forward takes x to y. Backward has x and dy and finds dx, dgamma and dbeta; nothing else of
    x's size was kept. Reading a byte and writing one each count 1.
    Returns (forward, backward), two numbers of bytes.
    """
    one_pass = int(np.prod(shape)) * itemsize
    return 3 * one_pass, 5 * one_pass


def cases(rng):
    yield (3, 2), 4
    yield (2, 3, 4, 5), 2
    yield (16, 64, 28, 20), 4
    yield (7, 5, 9), 8


exercise = Exercise(
    id="count-bytes",
    chapter=13,
    number=3,
    difficulty=2,
    title=Text(ko="옮겨야 하는 바이트 세기", en="Count the bytes"),
    solution=least_bytes,
    cases=cases,
    hints=[
        Text(
            ko="y의 첫 값을 쓰려면 평균과 분산이 있어야 하고, 그러려면 x를 끝까지 읽어야 합니다. "
            "그때 x의 첫 값은 아직 캐시에 있나요?",
            en="The first value of y needs mean and variance, and these need all of x. "
            "Is the first value of x still in the cache by then?",
        ),
        Text(
            ko="역전파에서 dx의 첫 값을 쓰려면 배치 전체의 합 두 개가 있어야 합니다. 그 합들은 x와 dy에서 나옵니다.",
            en="Backward, the first value of dx needs two sums over the whole batch, "
            "which come from x and dy.",
        ),
        Text(
            ko="복사는 한 번 읽고 한 번 쓰므로 배열 둘입니다. 순전파와 역전파에서도 훑을 때마다 무엇을 읽고 무엇을 쓰는지 "
            "적어 보세요. 합을 구하며 훑고, 그 합으로 결과를 쓰며 다시 훑습니다.",
            en="A copy reads once and writes once: two arrays. Forward and backward too, list what each "
            "pass reads and writes: one pass finds the sums, another writes the result with them.",
        ),
    ],
)


def multiples(shape, forward, backward, itemsize):
    values = int(np.prod(shape))
    return forward * values * itemsize, backward * values * itemsize


@exercise.mistake(
    ko="순전파에서 x를 한 번만 읽었습니다. 통계량을 구하고 나서 정규화하려면 x가 다시 필요한데, "
    "캐시에는 남아 있지 않습니다.",
    en="Forward reads x only once. After the statistics, normalizing needs x again, "
    "and the cache no longer has it.",
    backward=[5, 3],
)
def reads_x_once(shape, itemsize, backward):
    return multiples(shape, 2, backward, itemsize)


@exercise.mistake(
    ko="순전파는 맞습니다. 역전파에서 x와 dy를 한 번씩만 읽었습니다. "
    "dx의 첫 값을 쓰기 전에 배치 전체의 합이 두 개 필요합니다.",
    en="Forward is right. Backward reads x and dy only once each, "
    "but before the first value of dx, two sums over the whole batch are needed.",
)
def backward_in_one_pass(shape, itemsize):
    return multiples(shape, 3, 3, itemsize)


@exercise.mistake(
    ko="순전파는 맞습니다. 역전파에서 dx를 구하는 데 dy만 다시 읽었습니다. "
    "dx의 식에는 x_hat도 있고, x_hat은 x에서 나옵니다.",
    en="Forward is right. Backward reads only dy again to find dx, "
    "but x_hat is in that formula too, and comes from x.",
)
def x_only_once_backward(shape, itemsize):
    return multiples(shape, 3, 4, itemsize)


@exercise.mistake(
    ko="합마다 따로 읽었습니다. 한 번 읽는 동안 합을 여러 개 구할 수 있습니다. "
    "평균과 분산을 한 번에 구하는 방법은 13.1에서, 역전파의 두 합은 5장에서 보았습니다.",
    en="Each sum has a pass of its own. One pass can find several: "
    "mean and variance together as in 13.1, the two sums of the backward pass as in chapter 5.",
    passes=[(4, 5), (4, 6), (3, 6), (4, 7), (3, 7)],
)
def one_sum_a_pass(shape, itemsize, passes):
    return multiples(shape, *passes, itemsize)


@exercise.mistake(
    ko="순전파에서도 역전파에서도 배열 하나만큼 적습니다. 읽는 것만 셌다면, y와 dx를 쓰는 것도 메모리를 지나갑니다. "
    "쓰는 것까지 셌다면, 통계량을 구한 뒤에 무엇을 다시 읽어야 하는지 보세요.",
    en="Forward and backward each miss one array. If you count reads only: writing y and dx goes "
    "through memory too. If you count both: see what has to be read again after the statistics.",
)
def one_array_short(shape, itemsize):
    return multiples(shape, 2, 4, itemsize)


@exercise.mistake(
    ko="쓰는 바이트만 셌습니다. x와 dy를 읽는 것도 메모리를 지나갑니다.",
    en="Only writes are counted. Reading x and dy goes through memory too.",
)
def counts_writes_only(shape, itemsize):
    return multiples(shape, 1, 1, itemsize)


@exercise.mistake(
    ko="절반입니다. 복사 몇 번에 해당하는지를 돌려주었습니다. 복사 한 번은 1바이트를 읽고 1바이트를 써서 2로 셉니다.",
    en="Half of it: you count in copies. A copy reads a byte and writes one, which makes 2.",
)
def counts_in_copies(shape, itemsize):
    return multiples(shape, 1.5, 2.5, itemsize)


@exercise.mistake(
    ko="값의 개수는 맞습니다. 바이트로 바꾸지 않았습니다. float16과 float32의 답이 같을 수 있나요?",
    en="The number of values is right, but it is not in bytes. "
    "Can float16 and float32 have the same answer?",
)
def counts_values(shape, itemsize):
    return multiples(shape, 3, 5, 1)


@exercise.mistake(
    ko="비트를 셌습니다. 여덟 배입니다.",
    en="These are bits, eight times as many.",
)
def counts_bits(shape, itemsize):
    return multiples(shape, 3, 5, 8 * itemsize)


@exercise.mistake(
    ko="값 하나를 늘 4바이트로 보았습니다. itemsize가 알려 주는 크기를 써야 합니다.",
    en="Every value is taken to have 4 bytes. Its size is what itemsize says.",
)
def always_float32(shape, itemsize):
    return multiples(shape, 3, 5, 4)


@exercise.mistake(
    ko="공간 축을 세지 않았습니다. 모양이 (N, C, H, W)이면 값은 몇 개인가요?",
    en="The spatial axes are not counted. How many values are there for shape (N, C, H, W)?",
)
def forgets_the_spatial_axes(shape, itemsize):
    return multiples(shape[:2], 3, 5, itemsize)


@exercise.mistake(
    ko="표본 하나의 바이트입니다. 통계량은 배치 전체에서 나오므로 N개를 모두 읽습니다.",
    en="These are the bytes of one sample. The statistics come from the whole batch, all N samples.",
)
def one_sample(shape, itemsize):
    return multiples(shape[1:], 3, 5, itemsize)


@exercise.mistake(
    ko="값은 맞습니다. 돌려주는 순서가 바뀌었습니다. 순전파가 먼저입니다.",
    en="The values are right, returned in the wrong order: forward comes first.",
)
def swaps_the_results(shape, itemsize):
    return multiples(shape, 5, 3, itemsize)


@exercise.combine
def combined(
    shape,
    itemsize,
    *,
    reads_x_once=False,
    backward_in_one_pass=False,
    counts_in_copies=False,
    counts_values=False,
    counts_bits=False,
    forgets_the_spatial_axes=False,
    swaps_the_results=False,
):
    itemsize = 1 if counts_values else itemsize * (8 if counts_bits else 1)
    itemsize = itemsize / 2 if counts_in_copies else itemsize
    forward, backward = 2 if reads_x_once else 3, 3 if backward_in_one_pass else 5
    shape = shape[:2] if forgets_the_spatial_axes else shape
    found = multiples(shape, forward, backward, itemsize)
    return found[::-1] if swaps_the_results else found
