"""What `bnlib.inspect` says of each case of the bug clinic, in both languages."""

from .exercises.language import Text

SECTIONS = {  # case -> label of its section in chapter 12
    "training-mode": "sec-clinic-eval",
    "tiny-batch": "sec-clinic-tiny",
    "frozen-affine": "sec-clinic-frozen",
    "ported-momentum": "sec-clinic-momentum",
    "batch-of-one": "sec-clinic-one",
    "unsynchronized": "sec-clinic-workers",
    "unbroadcast": "sec-clinic-workers",
    "accumulation": "sec-clinic-accumulation",
    "weight-decay": "sec-clinic-decay",
    "averaged-weights": "sec-clinic-averaged",
    "stale-statistics": "sec-clinic-averaged",
    "ordered-batch": "sec-clinic-ordered",
    "dropout-before-norm": "sec-clinic-dropout",
    "precision": "sec-clinic-precision",
    "half-statistics": "sec-clinic-precision",
    "broken-statistics": "sec-clinic-precision",
    "broken-batch": "sec-clinic-precision",
    "padding": "sec-clinic-padding",
    "missing-buffers": "sec-clinic-buffers",
    "never-updated": "sec-clinic-buffers",
}

_FAR = Text(
    ko="이동 통계량이 지금의 가중치로 이 배치에서 구한 것과 크게 다릅니다. 채널들의 중앙값으로 분산은 {ratio:.3g}배, 평균은 표준편차의 {gap:.3g}배만큼 다릅니다.",
    en="The running statistics are far from those of this batch under these weights: in the median channel the variance differs {ratio:.3g}-fold, the mean by {gap:.3g} standard deviations.",
)

REASONS = {
    "training-mode": Text(
        ko="평가하려는 참인데 배치 정규화 {all}개 가운데 {some}개가 학습 모드입니다.",
        en="About to evaluate, and {some} of {all} batch norms are in training mode.",
    ),
    "tiny-batch": Text(
        ko="통계량 하나가 표본 {samples}개의 값 {values}개에서 나옵니다. 값들이 독립이라도 분산은 {error:.0%}쯤 빗나갑니다.",
        en="One statistic comes from {values} values of {samples} samples; even were they independent, the variance would be off by {error:.0%}.",
    ),
    "frozen-affine": Text(
        ko="배치 정규화 {some}개의 γ와 β는 고정되어 있는데 이동 통계량은 움직입니다.",
        en="γ and β of {some} batch norms are frozen, but their running statistics move.",
    ),
    "ported-momentum": Text(
        ko="momentum={share:g}입니다. torch에서는 새 배치의 비중이므로 이동 통계량의 {share:.0%}가 마지막 배치 하나에서 나옵니다.",
        en="momentum={share:g} is, in torch, the share of the new batch: {share:.0%} of the running statistics come from the last batch alone.",
    ),
    "batch-of-one": Text(
        ko="학습 모드의 층이 채널마다 값을 1개만 받습니다. 제 평균을 빼면 0이고, 남는 것은 β입니다.",
        en="In training mode this layer gets 1 value a channel. Minus its own mean that is 0, and all that is left is β.",
    ),
    "unsynchronized": Text(
        ko="일꾼 {workers}개가 저마다 표본 {samples}개의 통계량으로 정규화하고, 이동 통계량은 0번의 것만 남습니다.",
        en="Each of {workers} workers normalizes by {samples} samples of its own, and the running statistics kept are those of rank 0.",
    ),
    "unbroadcast": Text(
        ko="이동 통계량을 보내 주는 일꾼이 없어(forward_sync_buffers=False 또는 fully_shard) 일꾼 {workers}개의 것이 저마다 따로 움직입니다.",
        en="Nobody broadcasts running statistics (forward_sync_buffers=False, or fully_shard): those of {workers} workers drift apart.",
    ),
    "accumulation": Text(
        ko="한 스텝은 표본 {total}개로 이루어지지만 통계량은 {samples}개에서 나옵니다.",
        en="A step is made of {total} samples, but the statistics come from {samples}.",
    ),
    "weight-decay": Text(
        ko="층 {some}개의 γ나 β에 가중치 감쇠 {decay:g}가 걸려 있습니다.",
        en="Weight decay of {decay:g} acts on γ or β of {some} layers.",
    ),
    "averaged-weights": _FAR,
    "stale-statistics": _FAR,
    "ordered-batch": Text(
        ko="표본 {samples}개에 정답이 {classes}가지 가운데 {found}가지뿐입니다. 배치의 통계량이 정답을 실어 나릅니다.",
        en="{samples} samples hold {found} of {classes} labels: the statistics of the batch carry the label.",
    ),
    "dropout-before-norm": Text(
        ko="드롭아웃을 켜면 이 층이 받는 분산이 끌 때의 {ratio:.3g}배입니다. 학습에서 적어 둔 분산이 추론에서는 맞지 않습니다.",
        en="With dropout on, the variance that this layer is fed is {ratio:.3g} times that with dropout off: what training stores does not fit inference.",
    ),
    "precision": Text(
        ko="평균이 표준편차의 {kappa:.3g}배인 채널이 있습니다. 반올림이나 E[x²]−E[x]²의 자릿수 상쇄로 분산이 {error:.1%}까지 빗나갈 수 있습니다.",
        en="A channel's mean is {kappa:.3g} times its standard deviation: rounding, or cancellation in E[x²]−E[x]², can put its variance off by {error:.1%}.",
    ),
    "half-statistics": Text(
        ko="이동 통계량이 {dtype}입니다. 유효 숫자보다 작은 갱신은 사라집니다.",
        en="The running statistics are {dtype}: updates below its precision are lost.",
    ),
    "broken-statistics": Text(
        ko="채널 {channels}개 가운데 {bad}개의 이동 통계량이 무한대, NaN, 또는 음의 분산입니다.",
        en="{bad} of {channels} channels have running statistics that are infinite, NaN or a negative variance.",
    ),
    "broken-batch": Text(
        ko="이 배치에서 배치 정규화 {all}층 가운데 {some}층이 무한대나 NaN을 받았습니다. 학습 모드라면 이동 통계량에 남습니다.",
        en="This batch feeds infinity or NaN to {some} of {all} batch norms; in training mode that stays in their running statistics.",
    ),
    "padding": Text(
        ko="통계량에 들어간 자리의 {share:.0%}가 패딩입니다. 실제 자리만 셀 때와 견주어 분산이 {ratio:.3g}배, 평균이 표준편차의 {gap:.3g}배만큼 다릅니다.",
        en="{share:.0%} of the positions in the statistics are padding: against the real ones alone the variance differs {ratio:.3g}-fold, the mean by {gap:.3g} standard deviations.",
    ),
    "missing-buffers": Text(
        ko="배치 정규화 {some}개의 γ와 β는 배운 값인데 이동 통계량은 시작값 0과 1 그대로입니다.",
        en="γ and β of {some} batch norms are trained, but their running statistics are still 0 and 1, as at the start.",
    ),
    "never-updated": Text(
        ko="평가 모드인데 배치 정규화 {some}개의 이동 통계량이 시작값 0과 1 그대로입니다. 아무것도 정규화하지 않습니다.",
        en="In evaluation mode, {some} batch norms have running statistics of 0 and 1, as at the start: nothing is normalized.",
    ),
}

_TAKE_AGAIN = Text(
    ko="가중치를 그대로 두고 학습 데이터로 통계량을 다시 구하세요: bnlib.inference.population_statistics 또는 torch.optim.swa_utils.update_bn.",
    en="Keep the weights and take the statistics again on training data: bnlib.inference.population_statistics or torch.optim.swa_utils.update_bn.",
)

FIXES = {
    "training-mode": Text(
        ko="평가하기 전에 model.eval()을 부르세요.",
        en="Call model.eval() before evaluating.",
    ),
    "tiny-batch": Text(
        ko="배치를 키우거나, 미세 조정이라면 배치 정규화를 eval()로 두거나, 그룹 정규화를 쓰세요.",
        en="Use larger batches, keep batch norms in eval() while fine-tuning, or use group norm.",
    ),
    "frozen-affine": Text(
        ko="고정한 층은 model.train()을 부를 때마다 다시 eval()로 두세요.",
        en="Put frozen layers back into eval() after every model.train().",
    ),
    "ported-momentum": Text(
        ko="Keras나 Flax에서 가져온 값이라면 1에서 빼세요: {converted:g}.",
        en="If it was ported from Keras or Flax, subtract it from 1: {converted:g}.",
    ),
    "batch-of-one": Text(
        ko="DataLoader에 drop_last=True를 주거나, 추론이라면 eval()을 부르세요.",
        en="Give the DataLoader drop_last=True, or call eval() if this is inference.",
    ),
    "unsynchronized": Text(
        ko="DDP로 감싸기 전에 SyncBatchNorm.convert_sync_batchnorm(model)을 부르세요.",
        en="Call SyncBatchNorm.convert_sync_batchnorm(model) before wrapping it in DDP.",
    ),
    "unbroadcast": Text(
        ko="SyncBatchNorm을 쓰거나, DDP라면 forward_sync_buffers=True로 두세요.",
        en="Use SyncBatchNorm or, with DDP, leave forward_sync_buffers=True.",
    ),
    "accumulation": Text(
        ko="큰 배치를 한 번에 넣거나, 배치를 보지 않는 그룹 정규화로 바꾸세요.",
        en="Feed the large batch at once, or change to group norm, which does not look at the batch.",
    ),
    "weight-decay": Text(
        ko="축이 하나인 파라미터를 weight_decay=0인 그룹으로 옮기세요.",
        en="Move the parameters with one axis to a group with weight_decay=0.",
    ),
    "averaged-weights": _TAKE_AGAIN,
    "stale-statistics": _TAKE_AGAIN,
    "ordered-batch": Text(
        ko="배치를 섞으세요(shuffle=True). 시험하는 중이라면 eval()을 부르세요. 그 정답이 본래 드물거나 일부러 그렇게 뽑았다면 그대로 두세요.",
        en="Shuffle the batches (shuffle=True); if this is a test, call eval(). Labels that are rare, or drawn so on purpose, may stay.",
    ),
    "dropout-before-norm": Text(
        ko="드롭아웃을 마지막 배치 정규화 뒤로 옮기거나, 드롭아웃을 끄고 통계량을 다시 구하세요.",
        en="Move dropout behind the last batch norm, or take the statistics again with dropout off.",
    ),
    "precision": Text(
        ko="입력의 평균을 먼저 빼고, 통계량은 float32 이상에서 두 번 훑어 구하세요.",
        en="Centre the input first; take statistics in float32 or wider, in two passes.",
    ),
    "half-statistics": Text(
        ko="배치 정규화를 .float()로 두거나 torch.autocast를 쓰세요.",
        en="Keep batch norms in .float(), or use torch.autocast.",
    ),
    "broken-statistics": Text(
        ko="reset_running_stats()를 부르고 유한한 배치에서 다시 구하세요.",
        en="Call reset_running_stats() and take them again from finite batches.",
    ),
    "broken-batch": Text(
        ko="첫 층에 들어가는 값부터 차례로 보며 어디서 생기는지 찾으세요.",
        en="Go through the layers from the input on, and find where it arises.",
    ),
    "padding": Text(
        ko="실제 자리만 골라 정규화하거나 층 정규화를 쓰세요.",
        en="Normalize the real positions alone, or use layer norm.",
    ),
    "missing-buffers": Text(
        ko="parameters()가 아니라 state_dict()를 저장하고 strict=True로 읽으세요. 이미 잃었다면 통계량을 다시 구하세요.",
        en="Save state_dict(), not parameters(), and load it with strict=True. If they are lost, take the statistics again.",
    ),
    "never-updated": Text(
        ko="먼저 학습하거나 통계량을 구하세요.",
        en="Train first, or take the statistics.",
    ),
}
