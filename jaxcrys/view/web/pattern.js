/** The simulated powder pattern: a stick for each peak, its reflections shown on hover. */

function drawPattern(place, powder, name) {
  const hover = powder.hkl.map((hkl, i) =>
    `${hkl}<br>2θ ${fixed(powder.two_theta[i], 2)}°, d ${fixed(powder.d[i], 4)} Å`
    + `<br>${fixed(powder.intensity[i], 1)} %`);
  const axis = { color: colour("quiet"), gridcolor: colour("line"), zeroline: false };
  const sticks = {
    type: "bar", x: powder.two_theta, y: powder.intensity, width: 0.28, text: hover,
    textposition: "none", hovertemplate: "%{text}<extra></extra>",
    marker: { color: colour("accent"), line: { width: 0 } },
  };
  const layout = {
    margin: { l: 44, r: 8, t: 8, b: 38 }, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest", hoverdistance: 15,
    font: { family: "system-ui, sans-serif", size: 12 }, uirevision: name, dragmode: "zoom",
    modebar: modeBar(),
    xaxis: { ...axis, title: { text: "2θ (Cu Kα), °", standoff: 6 }, range: [5, 90] },
    yaxis: { ...axis, title: { text: "intensity, %" }, range: [0, 105], fixedrange: true },
  };
  const config = {
    responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]],
    toImageButtonOptions: { filename: `${name}_xrd`, scale: 2 },
  };
  return Plotly.react(place, [sticks], layout, config);
}
