"""A curve as a picture: sizes on a logarithmic axis, how much dearer than the first on the other, with the spread of the rounds."""

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 34, 34
LOWEST = 0.8


def svg(title, points, most):
    """`points`: a name, the middle, the least and the most of each size; `most` is what is allowed."""
    highest = max(1.3, *(largest for *_, largest in points)) + 0.05
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(index):
        return LEFT + plot_width * (index + 0.5) / len(points)

    def y(value):
        return TOP + plot_height * (highest - max(value, LOWEST)) / (highest - LOWEST)

    def line(value, colour, text, dash=""):
        return (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{colour}"{dash}/>'
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{colour}">{text}</text>'
        )

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#222">{title}: CPU a call, times that of the first</text>',
        line(1, "#888", "1.0"),
        line(most, "#c33", f"{most}", ' stroke-dasharray="4 3"'),
    ]
    for index, (name, middle, least, largest) in enumerate(points):
        drawn.append(f'<line x1="{x(index):.1f}" x2="{x(index):.1f}" y1="{y(least):.1f}" y2="{y(largest):.1f}" stroke="#9bd" stroke-width="6"/>')
        drawn.append(f'<text x="{x(index):.1f}" y="{HEIGHT - 12}" text-anchor="middle" fill="#222">{name}</text>')
        drawn.append(f'<text x="{x(index) + 10:.1f}" y="{y(middle) - 6:.1f}" fill="#147">{middle:.2f}</text>')
    path = " ".join(f"{x(index):.1f},{y(middle):.1f}" for index, (_, middle, *_) in enumerate(points))
    drawn.append(f'<polyline points="{path}" fill="none" stroke="#147" stroke-width="2"/>')
    drawn += [f'<circle cx="{x(index):.1f}" cy="{y(middle):.1f}" r="4" fill="#147"/>' for index, (_, middle, *_) in enumerate(points)]
    return "\n".join([*drawn, "</svg>"]) + "\n"
