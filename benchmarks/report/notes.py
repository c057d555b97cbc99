"""What a person saw in the pictures of bad fits, by photo. Looked at again whenever the defaults change."""

from __future__ import annotations

_LIDS = "the hand label draws the eyes with their lids, twice the opening that the mesh shows"
_GLASSES = f"thin glasses and dark eyes behind them; {_LIDS}"
_FAR = "45 degrees: the far cheek and eye are guessed by the prior; bald head, no hair line to hold the outline"

NOTES: dict[str, str] = {
    "fasseg/v3_p02s2_+45": "turned by 50 degrees and overexposed; the far eye is a sliver, its label a coarse patch",
    "fasseg/v3_p04s1_-30": f"deep-set eyes in shadow and a beard around the mouth; {_LIDS}",
    "fasseg/v3_p04s2_+45": _GLASSES,
    "fasseg/v3_p04s2_-45": _GLASSES,
    "fasseg/v3_p01s1_-45": f"a glint of the glasses covers the near eye; {_LIDS}",
    "fasseg/v3_p07s2_+30": f"deep-set eyes; {_LIDS}",
    "fasseg/v3_p07s2_-30": f"deep-set eyes; {_LIDS}",
    "synthetic/lps_03": _FAR,
    "synthetic/lps_05": _FAR,
    "synthetic/lps_06": _FAR,
    "synthetic/lps_01": "closed eyes and a head turned down; the nose comes out too short",
    "ict_synthetic/ict_04": "dark skin in low light, turned by 42 degrees, lids half closed: the mesh's eyes stay open",
    "ict_synthetic/ict_06": "lids nearly closed; the detector sees them open, and so does the mesh",
    "ict_synthetic/ict_07": "turned by 45 degrees, mouth funnelled; wide eyes, the far one a sliver",
    "ict_synthetic/ict_11": "puffed cheeks, which the model's expressions do not reach; narrow eyes",
    "wild/profile_old": "a full profile: the detector invents the hidden half, and the outline of the face with it",
    "wild/threequarter_outdoor": "a small face at 45 degrees, blurred; the outline of the far cheek is off",
    "wild/down_hair_occlusion": "hair across the face and lowered eyes; the mesh opens the eye that the hair crosses",
    "wild/cap_smile": "a wide smile; the corners of the mouth and the cheeks lag behind",
}
