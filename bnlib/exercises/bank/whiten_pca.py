"""2.1 Whiten along the principal axes."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def whiten_pca(x):
    """Turn the data to their principal axes and give every axis variance 1.

        covariance = U diag(eigenvalues) U^T,   divided by N, not by N - 1
        y = (x - mean) U diag(1 / sqrt(eigenvalues))

    x  (N, D): N samples, D features; the D eigenvalues differ, and none is 0
    Returns y of shape (N, D), the axis with the largest eigenvalue first. Each column of y may
    have either sign.
    """
    centred = x - x.mean(axis=0)
    eigenvalues, eigenvectors = np.linalg.eigh(centred.T @ centred / len(x))
    largest_first = np.argsort(eigenvalues)[::-1]
    return centred @ eigenvectors[:, largest_first] / np.sqrt(eigenvalues[largest_first])


def cases(rng):
    yield (np.array([[1.0, 2.0], [3.0, 7.0], [4.0, 3.0], [8.0, 9.0]]),)
    for rows, columns in [(8, 3), (6, 2), (30, 5), (12, 4)]:
        yield (correlated(rng, rows, columns),)
    yield (correlated(rng, 20, 3).astype(np.float32),)


def correlated(rng, rows, columns):
    """Data with standard deviations of about 1, 3, 9, ... along axes of no special direction."""
    rotation, _ = np.linalg.qr(rng.normal(size=(columns, columns)))
    return rng.normal(size=(rows, columns)) * 3.0 ** np.arange(columns) @ rotation + 2


def use(answer, x):
    """The answer with every column turned so that its largest value is positive."""
    y = answer(x)
    try:
        columns = np.asarray(y)
        if columns.shape == x.shape:
            largest = np.abs(columns).argmax(axis=0, keepdims=True)
            return columns * np.sign(np.take_along_axis(columns, largest, axis=0))
    except (RuntimeError, TypeError, ValueError):
        pass  # no table of numbers, so there are no columns to turn
    return y


def accepts(x):
    """Whether every eigenvalue is well above 0 and away from the next."""
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.cov(x.T, bias=True)))
    return bool(np.all(np.diff(eigenvalues, prepend=0) > 1e-5 * eigenvalues[-1]))


exercise = Exercise(
    id="whiten-pca",
    chapter=2,
    number=1,
    difficulty=2,
    title=Text(ko="주축을 따라 화이트닝하기", en="Whiten along the principal axes"),
    solution=whiten_pca,
    cases=cases,
    use=use,
    accepts=accepts,
    hints=[
        Text(
            ko="세 단계입니다. 평균을 빼고, 주축으로 돌리고, 축마다 나눕니다. "
            "단계마다 공분산을 출력해 보면 어디까지 왔는지 보입니다.",
            en="There are three steps: centre, turn to the principal axes, divide along each axis. "
            "Print the covariance after each step to see how far you are.",
        ),
        Text(
            ko="np.linalg.eigh는 고윳값을 작은 것부터 주고, 고유벡터를 행렬의 열에 담아 줍니다.",
            en="np.linalg.eigh gives the eigenvalues smallest first, "
            "and the eigenvectors as the columns of a matrix.",
        ),
        Text(
            ko="한 축을 따라 잰 분산이 바로 그 축의 고윳값입니다. "
            "분산이 1이 되려면 무엇으로 나누어야 할까요?",
            en="The variance along an axis is that axis's eigenvalue. "
            "What do you divide by to make it 1?",
        ),
    ],
)


def principal_axes(x, ddof=0):
    """Centred data, eigenvalues and eigenvectors, largest first."""
    centred = x - x.mean(axis=0)
    eigenvalues, eigenvectors = np.linalg.eigh(centred.T @ centred / (len(x) - ddof))
    return centred, eigenvalues[::-1], eigenvectors[:, ::-1]


@exercise.mistake(
    ko="평균을 빼지 않은 데이터를 돌렸습니다. 결과에서 열마다 평균을 재 보세요.",
    en="The data you turn still have their mean. Measure the mean of each column of your result.",
)
def forgets_to_centre(x):
    _, eigenvalues, eigenvectors = principal_axes(x)
    return x @ eigenvectors / np.sqrt(eigenvalues)


@exercise.mistake(
    ko="공분산을 구할 때 평균을 빼지 않았습니다. 그러면 가장 큰 고윳값의 축은 "
    "데이터가 가장 넓게 퍼진 방향이 아니라 평균이 있는 방향을 가리킵니다.",
    en="The covariance is taken without removing the mean. The first axis then points "
    "to where the mean is, not to where the data spread most.",
    centres_afterwards=[False, True],
)
def covariance_around_zero(x, centres_afterwards=False):
    eigenvalues, eigenvectors = np.linalg.eigh(x.T @ x / len(x))
    x = x - x.mean(axis=0) if centres_afterwards else x
    return (x @ eigenvectors / np.sqrt(eigenvalues))[:, ::-1]


@exercise.mistake(
    ko="축은 맞습니다. 그런데 √λ로 나누지 않고 곱했습니다. "
    "퍼짐이 큰 축이 더 커졌습니다. 결과의 공분산을 출력해 보세요.",
    en="The axes are right, but you multiply by √λ where you should divide: "
    "the widest axis gets wider still. Print the covariance of your result.",
)
def multiplies_by_the_root(x):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    return centred @ eigenvectors * np.sqrt(eigenvalues)


@exercise.mistake(
    ko="축은 맞습니다. 그런데 표준편차가 아니라 고윳값, 곧 분산으로 나누었습니다. "
    "분산이 9인 축은 나눈 뒤에 분산이 얼마가 되나요?",
    en="The axes are right, but you divide by the eigenvalue, which is a variance, "
    "not a standard deviation. What becomes of an axis whose variance is 9?",
)
def divides_by_the_eigenvalue(x):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    return centred @ eigenvectors / eigenvalues


@exercise.mistake(
    ko="주축으로 돌리는 데까지 했습니다. 상관은 사라졌지만 축마다 분산이 아직 다릅니다. "
    "한 단계가 남았습니다.",
    en="The data are turned to the principal axes, so correlation is gone, "
    "but the axes still differ in variance. One step is left.",
)
def skips_the_scaling(x):
    centred, _, eigenvectors = principal_axes(x)
    return centred @ eigenvectors


@exercise.mistake(
    ko="고유벡터를 행렬의 행에서 꺼냈습니다. np.linalg.eigh는 고유벡터를 열에 담고, "
    "np.linalg.svd의 세 번째 결과는 행에 담습니다. 결과의 공분산이 대각 행렬인지 보세요.",
    en="The eigenvectors are taken from the rows of the matrix. np.linalg.eigh keeps them in the "
    "columns, and the third result of np.linalg.svd in the rows. "
    "Is the covariance of your result diagonal?",
    kind=["transposed", "rows sorted", "rows sorted and transposed", "svd"],
)
def eigenvectors_transposed(x, kind="transposed"):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    axes = {
        "transposed": eigenvectors.T,
        "rows sorted": eigenvectors[::-1, ::-1],
        "rows sorted and transposed": eigenvectors[::-1, ::-1].T,
        "svd": np.linalg.svd(centred, full_matrices=False)[2],
    }
    return centred @ axes[kind] / np.sqrt(eigenvalues)


@exercise.mistake(
    ko="축은 맞습니다. 그런데 공분산을 N이 아니라 N-1로 나누었습니다. np.cov의 기본값이 그렇습니다. "
    "결과의 분산을 N으로 나누어 재면 1보다 작습니다.",
    en="The axes are right, but the covariance is divided by N-1, as np.cov does unless told "
    "otherwise. Measured with N, the variance of your result is below 1.",
)
def ddof_1(x):
    centred, eigenvalues, eigenvectors = principal_axes(x, ddof=1)
    return centred @ eigenvectors / np.sqrt(eigenvalues)


@exercise.mistake(
    ko="값은 맞고 열의 순서가 거꾸로입니다. 고윳값이 가장 큰 축이 첫 열에 와야 합니다.",
    en="The values are right, the columns come in reverse: "
    "the axis with the largest eigenvalue goes first.",
)
def smallest_first(x):
    return whiten_pca(x)[:, ::-1]


@exercise.mistake(
    ko="화이트닝은 되었습니다. 그런데 마지막에 원래 축으로 되돌렸습니다. 그것은 ZCA이고 다음 문제입니다. "
    "여기서는 주축에 머무릅니다.",
    en="The data are white, but turned back to the original axes at the end. "
    "That is ZCA, the next exercise; here you stay on the principal axes.",
)
def returns_zca(x):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    return centred @ eigenvectors / np.sqrt(eigenvalues) @ eigenvectors.T


@exercise.mistake(
    ko="열마다 표준화만 했습니다. 분산은 모두 1이지만 열 사이의 상관은 그대로입니다. "
    "배치 정규화가 하는 일이 이만큼입니다. 결과의 공분산에서 대각선 밖을 보세요.",
    en="Each column is standardized, no more: every variance is 1, but the columns are as "
    "correlated as before. That is as far as batch normalization goes. "
    "Look at the covariance of your result off the diagonal.",
)
def standardizes_only(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@exercise.combine
def combined(
    x,
    *,
    covariance_around_zero=False,
    forgets_to_centre=False,
    ddof_1=False,
    skips_the_scaling=False,
    multiplies_by_the_root=False,
    divides_by_the_eigenvalue=False,
    smallest_first=False,
    returns_zca=False,
):
    mean = x.mean(axis=0)
    measured = x if covariance_around_zero else x - mean
    turned = x if forgets_to_centre or covariance_around_zero else x - mean
    eigenvalues, eigenvectors = np.linalg.eigh(measured.T @ measured / (len(x) - int(ddof_1)))
    power = -0.5
    if skips_the_scaling:
        power = 0.0
    elif multiplies_by_the_root or divides_by_the_eigenvalue:
        power = 0.5 if multiplies_by_the_root else -1.0
    y = turned @ eigenvectors * eigenvalues**power
    if returns_zca:
        return y @ eigenvectors.T
    return y if smallest_first else y[:, ::-1]
