"""What others have published, on other data than ours. Read from the papers named here; nothing was run again."""

from __future__ import annotations

WARNING = (
    "**Other data, other masks, other judges.** These figures stand here for scale. They are not comparable with ours "
    "photo by photo: Part IoU in the papers is taken with the parser's masks of re-rendered faces of MEAD, ours with "
    "hand labels or exact masks of the photo itself; NoW and REALY use scans of other people."
)
# Method, mean Part IoU in % of 7 parts on MEAD (Wang et al. 2024, table 1), REALY in mm, frontal and side (same table).
PART_IOU = (
    ("3DDFA-V3 (Wang et al. 2024), with PRDL", 73.82, 1.436, 1.442),
    ("3DDFA-V3 without PRDL", 72.08, 1.568, 1.528),
    ("HRN (Lei et al. 2023)", 71.69, 1.537, 1.468),
    ("Deep3D (Deng et al. 2019)", 69.51, 1.657, 1.691),
    ("DECA (Feng et al. 2021)", 61.93, 2.010, 2.107),
    ("3DDFA-V2 (Guo et al. 2020)", 55.88, 1.926, 1.943),
)
# Method, median scan-to-mesh distance in mm on NoW, non-metrical.
NOW = (
    ("MICA (Zielonka et al. 2022)", 0.90), ("DECA", 1.09), ("Deep3D", 1.11), ("RingNet", 1.21), ("3DDFA-V2", 1.23),
    ("MGCNet", 1.31), ("PRNet", 1.50),
)  # fmt: skip
