"""Bird's-eye view of a scene: lidar coloured by height, radar detections with their range rate."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon

from ops.report.cloud import Cloud, Floats

SIDE_INCHES, DOTS_PER_INCH = 6.4, 110
REACH_M = (20.0, 30.0, 50.0, 80.0, 120.0)
BELOW_GROUND_M, ABOVE_GROUND_M = 0.5, 4.0  # points beyond get the outermost colours
SECONDS_SHOWN = 1.0  # length of an arrow: distance in this time
STILL_M_S = 0.7
BACKGROUND, INK, APPROACHING, RECEDING, STILL = "#0f141b", "#9fb0c3", "#ff6b6b", "#56c2ff", "#ffd166"


def birdseye(
    lidars: Sequence[Cloud],
    radars: Sequence[Cloud],
    forward: tuple[int, int] = (1, 0),
    velocity_m_s: Floats | None = None,
) -> bytes:
    """Draw a square PNG: vehicle in the middle, `forward` (an axis of the ego frame) up; ranges in metres.

    `velocity_m_s` (3,): the vehicle's velocity in the ego frame. Where it is known, range rates are corrected for it, so that
    stationary objects are drawn as stationary.
    """
    radars = tuple(_over_ground(cloud, velocity_m_s) for cloud in radars)
    lidars, radars = (tuple(_turned(cloud, forward) for cloud in clouds) for clouds in (lidars, radars))
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    reach_m = _reach_m([*lidars, *radars])
    _prepare(axes, reach_m)
    for lidar in lidars:
        _draw_lidar(axes, lidar.ego_m)
    for radar in radars:
        _draw_radar(axes, radar, reach_m)
    _draw_vehicle(axes)
    _draw_legend(axes, lidars, radars)
    body = io.BytesIO()
    figure.savefig(body, format="png", facecolor=BACKGROUND, metadata={"Software": None})
    return body.getvalue()


def _over_ground(cloud: Cloud, velocity_m_s: Floats | None) -> Cloud:
    if cloud.range_rate_m_s is None or velocity_m_s is None:
        return cloud
    ray_m = cloud.ego_m - cloud.origin_m
    ray = ray_m / np.maximum(np.linalg.norm(ray_m, axis=1), 1e-6)[:, None]
    return replace(cloud, range_rate_m_s=cloud.range_rate_m_s + ray @ velocity_m_s)


def _turned(cloud: Cloud, forward: tuple[int, int]) -> Cloud:
    x, y = forward
    turn = np.array([[x, y, 0], [-y, x, 0], [0, 0, 1]], dtype=np.float64)
    return replace(cloud, ego_m=cloud.ego_m @ turn.T, origin_m=turn @ cloud.origin_m)


def _reach_m(clouds: Sequence[Cloud]) -> float:
    ranges = [np.hypot(cloud.ego_m[:, 0], cloud.ego_m[:, 1]) for cloud in clouds if len(cloud.ego_m)]
    if not ranges:
        return REACH_M[0]
    needed_m = float(np.percentile(np.concatenate(ranges), 92))
    return next((reach for reach in REACH_M if reach >= needed_m), REACH_M[-1])


def _prepare(axes: Axes, reach_m: float) -> None:
    axes.set_xlim(-reach_m, reach_m)
    axes.set_ylim(-reach_m, reach_m)
    axes.set_aspect("equal")
    axes.axis("off")
    step_m = 10.0 if reach_m <= 50 else 20.0
    for radius_m in np.arange(step_m, reach_m * 1.5, step_m):
        axes.add_patch(Circle((0, 0), radius_m, fill=False, edgecolor=INK, linewidth=0.5, alpha=0.28))
        if radius_m < reach_m:
            axes.text(0, radius_m, f"{radius_m:.0f} m", color=INK, fontsize=9, ha="center", va="bottom", alpha=0.8)


def _draw_lidar(axes: Axes, ego_m: Floats) -> None:
    order = np.argsort(ego_m[:, 2], kind="stable")  # high points are drawn last, on top
    shown = ego_m[order]
    if not len(shown):
        return
    ground_m = float(np.percentile(shown[:, 2], 10))
    axes.scatter(
        -shown[:, 1], shown[:, 0], c=shown[:, 2], cmap="turbo", vmin=ground_m - BELOW_GROUND_M, vmax=ground_m + ABOVE_GROUND_M,
        s=1.6, marker=".", linewidths=0, alpha=0.9,
    )  # fmt: skip


def _draw_radar(axes: Axes, radar: Cloud, reach_m: float) -> None:
    x_m, y_m = radar.ego_m[:, 0], radar.ego_m[:, 1]
    rate_m_s = np.zeros(len(x_m)) if radar.range_rate_m_s is None else np.nan_to_num(radar.range_rate_m_s)
    colours = np.where(rate_m_s < -STILL_M_S, APPROACHING, np.where(rate_m_s > STILL_M_S, RECEDING, STILL))
    axes.scatter(-y_m, x_m, s=26, marker="o", facecolors="none", edgecolors=list(colours), linewidths=1.2, zorder=4)
    moving = np.abs(rate_m_s) > STILL_M_S
    if not moving.any():
        return
    ray_m = radar.ego_m[moving, :2] - radar.origin_m[:2]
    ray = ray_m / np.maximum(np.hypot(ray_m[:, 0], ray_m[:, 1]), 1e-6)[:, None]
    reach = np.clip(rate_m_s[moving] * SECONDS_SHOWN, -reach_m / 3, reach_m / 3)
    axes.quiver(
        -y_m[moving], x_m[moving], -ray[:, 1] * reach, ray[:, 0] * reach, color=list(colours[moving]),
        angles="xy", scale_units="xy", scale=1.0, width=0.004, headwidth=3.5, headlength=4, zorder=5,
    )  # fmt: skip


def _draw_vehicle(axes: Axes) -> None:
    outline = np.array([(-0.95, -1.2), (-0.95, 2.4), (0.0, 3.6), (0.95, 2.4), (0.95, -1.2)])
    axes.add_patch(Polygon(outline, closed=True, facecolor="#ffffff", edgecolor=BACKGROUND, linewidth=0.8, zorder=6))


def _draw_legend(axes: Axes, lidars: Sequence[Cloud], radars: Sequence[Cloud]) -> None:
    labels = [f"{sum(len(cloud.ego_m) for cloud in lidars):,} lidar points, coloured by height".replace(",", "\u202f")]
    if radars:
        labels.append(f"{sum(len(cloud.ego_m) for cloud in radars)} radar detections")
    axes.text(0.02, 0.02, " · ".join(labels), transform=axes.transAxes, color=INK, fontsize=10, va="bottom")
    if radars:
        legend = (("approaching", APPROACHING), ("receding", RECEDING), ("still", STILL))
        for position, (word, colour) in enumerate(legend):
            axes.text(0.98, 0.02 + 0.035 * position, f"{word} ○", transform=axes.transAxes, color=colour, fontsize=10, ha="right")
