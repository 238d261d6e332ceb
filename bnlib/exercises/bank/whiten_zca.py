"""2.2 Whiten and stay close to the data."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def whiten_zca(x, eps):
    """Whiten with ZCA, the whitening that changes the data least.

        covariance = U diag(eigenvalues) U^T,   divided by N
        y = (x - mean) U diag(1 / sqrt(eigenvalues + eps)) U^T

    x    (N, D): N samples, D features
    eps  a number > 0, added to every eigenvalue: directions that hardly vary are mostly noise
    Returns y of shape (N, D).
    """
    centred = x - x.mean(axis=0)
    eigenvalues, eigenvectors = np.linalg.eigh(centred.T @ centred / len(x))
    return centred @ (eigenvectors / np.sqrt(eigenvalues + eps)) @ eigenvectors.T


def cases(rng):
    yield np.array([[1.0, 2.0], [3.0, 7.0], [4.0, 3.0], [8.0, 9.0]]), 0.5
    for rows, columns, eps in [(8, 3, 0.01), (6, 2, 0.2), (30, 5, 0.1), (12, 4, 1e-3)]:
        yield correlated(rng, rows, columns), eps
    yield correlated(rng, 20, 3).astype(np.float32), 0.1
    yield np.insert(correlated(rng, 9, 2), 1, 4.0, axis=1), 0.05  # a feature that never changes
    yield correlated(rng, 3, 5), 0.05  # fewer samples than features


def correlated(rng, rows, columns):
    """Data with standard deviations of about 1, 1/3, 1/9, ... along axes of no special direction."""
    rotation, _ = np.linalg.qr(rng.normal(size=(columns, columns)))
    return rng.normal(size=(rows, columns)) / 3.0 ** np.arange(columns) @ rotation + 2


exercise = Exercise(
    id="whiten-zca",
    chapter=2,
    number=2,
    difficulty=2,
    title=Text(ko="데이터 가까이에 머무는 화이트닝", en="Whiten and stay close to the data"),
    solution=whiten_zca,
    cases=cases,
    hints=[
        Text(
            ko="PCA 화이트닝까지는 같습니다. 그다음에 처음 한 회전을 되돌립니다. "
            "회전 행렬의 역행렬은 무엇인가요?",
            en="The way is the same as far as PCA whitening. Then the first rotation is undone. "
            "What is the inverse of a rotation matrix?",
        ),
        Text(
            ko="화이트닝 행렬은 대칭이어야 합니다. 손에 쥔 행렬과 그 전치를 비교해 보세요.",
            en="The whitening matrix is symmetric: compare yours with its transpose.",
        ),
    ],
)


def principal_axes(x, ddof=0):
    """Centred data, eigenvalues and eigenvectors, smallest first."""
    centred = x - x.mean(axis=0)
    return centred, *np.linalg.eigh(centred.T @ centred / (len(x) - ddof))


@exercise.mistake(
    ko="주축에 머물렀습니다. 그것은 PCA 화이트닝입니다. "
    "ZCA는 나눈 다음에 원래 축으로 되돌아옵니다. 한 단계가 남았습니다.",
    en="You stay on the principal axes: that is PCA whitening. "
    "ZCA returns to the original axes after dividing. One step is left.",
    axes=["eigh", "eigh, largest first", "svd of the covariance", "svd of the data"],
)
def stops_at_pca(x, eps, axes="eigh"):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    if axes == "svd of the covariance":  # the same axes, but the signs are the routine's choice
        eigenvectors, eigenvalues, _ = np.linalg.svd(centred.T @ centred / len(x))
    elif axes == "svd of the data":
        _, std, rows = np.linalg.svd(centred / len(x) ** 0.5, full_matrices=False)
        eigenvectors, eigenvalues = rows.T, std**2
    y = centred @ eigenvectors / np.sqrt(eigenvalues + eps)
    return y[:, ::-1] if axes == "eigh, largest first" else y


@exercise.mistake(
    ko="화이트닝은 되었지만 촐레스키 분해(Cholesky)를 썼습니다. 그 화이트닝 행렬은 삼각 행렬이라 "
    "특성의 순서에 기댑니다. ZCA의 행렬은 대칭이고 특성을 차별하지 않습니다.",
    en="The data are white, but by a Cholesky factor. That whitening matrix is triangular and "
    "depends on the order of the features; the one of ZCA is symmetric and treats them alike.",
)
def uses_cholesky(x, eps):
    centred = x - x.mean(axis=0)
    covariance = centred.T @ centred / len(x) + eps * np.eye(x.shape[1], dtype=x.dtype)
    return np.linalg.solve(np.linalg.cholesky(covariance), centred.T).T


@exercise.mistake(
    ko="eps가 빠졌습니다. 거의 변하지 않는 방향은 대부분 잡음인데, 그 방향이 분산 1까지 부풀었습니다.",
    en="eps is missing. A direction that hardly varies is mostly noise, "
    "and here it is blown up to variance 1.",
)
def forgets_eps(x, eps):
    return whiten_zca(x, 0.0)


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했습니다. 고윳값이 0인 방향을 상상해 보세요. "
    "이 문제의 식과 여러분의 식은 그 방향을 각각 무엇으로 나누나요?",
    en="eps is added outside the square root. Imagine a direction whose eigenvalue is 0: "
    "what does the formula of this exercise divide it by, and what does yours?",
)
def eps_outside_the_root(x, eps):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    return centred @ (eigenvectors / (np.sqrt(eigenvalues) + eps)) @ eigenvectors.T


@exercise.mistake(
    ko="eps를 공분산 행렬의 모든 칸에 더했습니다. 그러면 없던 상관이 생깁니다. "
    "고윳값마다 eps가 더해지려면 행렬의 어느 칸만 달라져야 할까요?",
    en="eps is added to every entry of the covariance, which invents correlation. "
    "Which entries alone may change, so that every eigenvalue grows by eps?",
)
def eps_in_every_entry(x, eps):
    centred = x - x.mean(axis=0)
    eigenvalues, eigenvectors = np.linalg.eigh(centred.T @ centred / len(x) + eps)
    return centred @ (eigenvectors / np.sqrt(eigenvalues)) @ eigenvectors.T


@exercise.mistake(
    ko="eps보다 작은 고윳값만 eps로 바꾸었습니다. 흔한 방법이지만 이 문제에서는 모든 고윳값에 더합니다.",
    en="Only eigenvalues below eps are raised to it. That is done too, "
    "but here eps is added to all of them.",
)
def clips_the_eigenvalues(x, eps):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    return centred @ (eigenvectors / np.sqrt(np.maximum(eigenvalues, eps))) @ eigenvectors.T


@exercise.mistake(
    ko="평균을 빼지 않은 데이터에 화이트닝 행렬을 곱했습니다. 결과에서 열마다 평균을 재 보세요.",
    en="The data you multiply by the whitening matrix still have their mean. "
    "Measure the mean of each column of your result.",
)
def forgets_to_centre(x, eps):
    return whiten_zca(x, eps) + x.mean(axis=0) @ whitening_matrix(x, eps)


def whitening_matrix(x, eps):
    _, eigenvalues, eigenvectors = principal_axes(x)
    return (eigenvectors / np.sqrt(eigenvalues + eps)) @ eigenvectors.T


@exercise.mistake(
    ko="화이트닝한 다음에 원래 평균을 다시 더했습니다. 화이트닝한 데이터의 평균은 0입니다.",
    en="The original mean is added back at the end. White data have mean 0.",
)
def adds_the_mean_back(x, eps):
    return whiten_zca(x, eps) + x.mean(axis=0)


@exercise.mistake(
    ko="되돌아왔지만 나누지 않고 곱했습니다. 퍼짐이 큰 방향이 더 커졌습니다.",
    en="You do return to the original axes, but you multiply where you should divide: "
    "the widest direction gets wider still.",
)
def multiplies_by_the_root(x, eps):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    return centred @ (eigenvectors * np.sqrt(eigenvalues + eps)) @ eigenvectors.T


@exercise.mistake(
    ko="고유벡터 행렬과 그 전치의 자리가 바뀌었습니다. 먼저 주축으로 돌리고, 나누고, 되돌려야 합니다. "
    "데이터에 처음 곱하는 행렬은 어느 쪽이어야 할까요? np.linalg.eigh는 고유벡터를 열에 담습니다.",
    en="The matrix of eigenvectors and its transpose have changed places. First turn to the axes, "
    "then divide, then turn back. Which of the two meets the data first, "
    "if np.linalg.eigh keeps the eigenvectors in the columns?",
)
def eigenvectors_transposed(x, eps):
    centred, eigenvalues, eigenvectors = principal_axes(x)
    return centred @ (eigenvectors.T / np.sqrt(eigenvalues + eps)) @ eigenvectors


@exercise.mistake(
    ko="공분산을 N이 아니라 N-1로 나누었습니다. np.cov의 기본값이 그렇습니다.",
    en="The covariance is divided by N-1, as np.cov does unless told otherwise, instead of by N.",
)
def ddof_1(x, eps):
    centred, eigenvalues, eigenvectors = principal_axes(x, ddof=1)
    return centred @ (eigenvectors / np.sqrt(eigenvalues + eps)) @ eigenvectors.T


@exercise.mistake(
    ko="열마다 표준화만 했습니다. 분산은 고르지만 열 사이의 상관은 그대로입니다. "
    "배치 정규화가 하는 일이 이만큼입니다.",
    en="Each column is standardized, no more: the columns are as correlated as before. "
    "That is as far as batch normalization goes.",
)
def standardizes_only(x, eps):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)


@exercise.combine
def combined(
    x,
    eps,
    *,
    forgets_to_centre=False,
    ddof_1=False,
    forgets_eps=False,
    eps_outside_the_root=False,
    eps_in_every_entry=False,
    clips_the_eigenvalues=False,
    stops_at_pca=False,
    eigenvectors_transposed=False,
):
    centred = x - x.mean(axis=0)
    covariance = centred.T @ centred / (len(x) - int(ddof_1))
    if forgets_eps:
        eps = 0.0
    elif eps_in_every_entry:
        covariance, eps = covariance + eps, 0.0
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    std = np.sqrt(eigenvalues + eps)
    if clips_the_eigenvalues:
        std = np.sqrt(np.maximum(eigenvalues, eps))
    elif eps_outside_the_root:
        std = np.sqrt(eigenvalues) + eps
    if eigenvectors_transposed:
        eigenvectors = eigenvectors.T
    y = (x if forgets_to_centre else centred) @ eigenvectors / std
    return y[:, ::-1] if stops_at_pca else y @ eigenvectors.T
