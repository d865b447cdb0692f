// Draws every plot of the page with Plotly. The figures stand in the page as JSON; colours and fonts come from the
// style sheet, so that plots follow the light or dark scheme. When all are drawn, <html data-plots="drawn">.
"use strict";

const COLOURS = 7;  // how many --series-N the style sheet has
const NARROW = 560;  // pixels

function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function themedTrace(trace, narrow) {
  if (trace.type === "heatmap" && narrow) return {...trace, colorbar: {...trace.colorbar, title: {text: ""}}};
  if (!trace.meta || trace.meta.series === undefined) return trace;
  const colour = style(`--series-${trace.meta.series % COLOURS}`);
  return {...trace, line: {...trace.line, color: colour}, marker: {...trace.marker, color: colour}};
}

function themedAxis(axis, narrow) {
  const grid = style("--plot-grid"), line = style("--plot-axis");
  return {...axis, gridcolor: grid, zerolinecolor: grid, linecolor: line, tickcolor: line, ticks: "outside",
          ticklen: 4, tickfont: {size: narrow ? 10 : 12}};
}

// Below the plot a legend does not take its width; this is about how many rows it needs there.
function legendRows(traces, width) {
  const longest = Math.max(...traces.map((trace) => (trace.name || "").length));
  const columns = Math.max(1, Math.floor((width - 60) / (longest * 6.6 + 50)));
  return Math.ceil(traces.length / columns);
}

// Plotly sets long tick labels upright when they do not fit: about how much height they take then.
function labelRoom(figure, width) {
  const words = figure.data.flatMap((trace) => trace.x || []).filter((x) => typeof x === "string");
  const longest = Math.max(0, ...words.map((word) => word.length));
  return longest * new Set(words).size * 6 < width ? 0 : Math.max(0, longest - 10) * 6;
}

function heightOf(figure, width) {
  if (figure.data[0].type === "heatmap") return (width < NARROW ? 280 : 250) + 28 * figure.data[0].y.length;
  return (width < NARROW ? 300 : 400) + labelRoom(figure, width) +
         (figure.layout.showlegend ? 20 * legendRows(figure.data, width) : 0);
}

function layoutOf(figure, width) {
  const narrow = width < NARROW, height = heightOf(figure, width), legendGap = narrow ? 70 : 64;
  const rows = figure.layout.showlegend ? legendRows(figure.data, width) : 0;
  const plotHeight = height - 20 - legendGap - 20 * rows;
  const text = style("--text");
  const layout = {
    ...figure.layout, height, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: style("--font"), size: narrow ? 11 : 13, color: text},
    margin: {l: narrow ? 48 : 64, r: 12, t: 20, b: 50},
    xaxis: themedAxis(figure.layout.xaxis, narrow), yaxis: themedAxis(figure.layout.yaxis, narrow),
    legend: {orientation: "h", x: 0, xanchor: "left", y: -legendGap / plotHeight, yanchor: "top"},
    hoverlabel: {bgcolor: style("--surface"), bordercolor: style("--plot-axis"), font: {color: text}},
  };
  if (layout.annotations) {
    layout.annotations = layout.annotations.map((note) => ({
      ...note, arrowcolor: text, bgcolor: style("--surface"), font: {color: text},
      bordercolor: style("--plot-axis"), borderpad: 4}));
  }
  return layout;
}

function draw(element) {
  const figure = JSON.parse(document.getElementById(element.id + "-figure").textContent);
  const width = element.clientWidth;
  const traces = figure.data.map((trace) => themedTrace(trace, width < NARROW));
  return Plotly.react(element, traces, layoutOf(figure, width), {
    responsive: true, displaylogo: false, displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toggleSpikelines"]});
}

function drawAll() {
  return Promise.all([...document.querySelectorAll(".chart")].map(draw)).then(() => {
    document.documentElement.dataset.plots = "drawn";
  });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", drawAll);
drawAll();
