# SPDX-License-Identifier: LGPL-2.1-or-later
"""The picture of tests/bench --plot: a bar for each peer, precision and batch, with the range over the rounds."""
COLORS = {"onnxruntime": "#4477aa", "openvino": "#cc6677", "pytorch": "#ddaa33"}  # told apart by the colour-blind too
TITLES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "pytorch": "PyTorch"}


BAR = 0.27  # of the distance of two groups


def groups(rows):
    """-> [(title, {peer: row})], in the order of the rows"""
    found = {}
    for row in rows:
        what = "" if row["unit"] == "texts/s" else f", batch {row['batch']}"
        found.setdefault(f"{row['model']}\n{row['precision']}{what}", {})[row["peer"]] = row
    return list(found.items())


def draw_bar(axes, x, row):
    low, high = row["ratio"] - row["ratio_min"], row["ratio_max"] - row["ratio"]
    axes.bar(x, row["ratio"], BAR * 0.92, color=COLORS[row["peer"]], yerr=[[low], [high]],
             error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "#333333"})
    axes.annotate(f"{row['ratio']:.2f}", (x, row["ratio_max"]), (0, 3), textcoords="offset points", ha="center", fontsize=8)


def draw_groups(axes, unit, parts):
    for x, (_, peers) in enumerate(parts):
        for i, row in enumerate(peers.values()):
            draw_bar(axes, x + (i - (len(peers) - 1) / 2) * BAR, row)
    axes.axhline(1, color="#333333", linewidth=1)
    axes.set_xticks(range(len(parts)), [title for title, _ in parts], fontsize=9)
    axes.set_xlim(-0.5, len(parts) - 0.5)
    axes.set_ylim(0, 1.12 * max(row["ratio_max"] for _, peers in parts for row in peers.values()))
    axes.set_ylabel(f"our {unit} / the peer's")
    axes.spines[["top", "right"]].set_visible(False)


def title(figures):
    pairs = sorted({row["pairs"] for row in figures["rows"]})
    count = f"{pairs[0]} to {pairs[-1]}" if pairs[0] < pairs[-1] else f"{pairs[0]}"
    return f"{figures['machine']['cores']} cores of {figures['machine']['cpu']}\nmedians and ranges of {count} alternating pairs"


def draw(figures, path):
    """frames and texts have an axis each: their ratios are far apart"""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch
    rows = figures["rows"]
    parts = {unit: groups([row for row in rows if row["unit"] == unit]) for unit in dict.fromkeys(row["unit"] for row in rows)}
    widths = [len(part) for part in parts.values()]
    figure, axes = pyplot.subplots(1, len(parts), figsize=(max(5.0, 1.5 + 1.5 * sum(widths)), 4.2), layout="constrained",
                                   width_ratios=widths, squeeze=False)
    for column, (unit, part) in zip(axes[0], parts.items()):
        draw_groups(column, unit, part)
    used = [name for name in COLORS if any(row["peer"] == name for row in rows)]
    figure.legend(handles=[Patch(color=COLORS[name], label=TITLES[name]) for name in used], frameon=False, ncols=len(used),
                  loc="outside lower center")
    figure.suptitle(title(figures), fontsize=9)
    figure.savefig(path, dpi=150)
