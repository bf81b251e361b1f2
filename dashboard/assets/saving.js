// A panel's picture as a file.

import { SVG, element } from "./drawing.js";

// A copy of a panel's picture that looks the same without our style sheet.
function picture(figure) {
  const svg = figure.querySelector("svg"), copy = svg.cloneNode(true);
  const from = svg.querySelectorAll("*"), to = copy.querySelectorAll("*");
  from.forEach((each, i) => {
    const css = getComputedStyle(each);
    for (const name of ["fill", "stroke", "font-size", "font-family"]) to[i].style.setProperty(name, css.getPropertyValue(name));
  });
  copy.querySelectorAll(".lm-cursor, .lm-drag").forEach((each) => each.remove());
  copy.setAttribute("xmlns", SVG);
  copy.prepend(element("rect", { width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor || "#fff" }));
  return new XMLSerializer().serializeToString(copy);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function download(figure, kind) {
  const name = figure.dataset.key.replace(/[^A-Za-z0-9_.-]+/g, "_"), blob = new Blob([picture(figure)], { type: "image/svg+xml" });
  if (kind === "svg") { save(blob, `${name}.svg`); return; }
  const image = new Image(), svg = figure.querySelector("svg"), scale = 2;
  image.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [svg.clientWidth * scale, svg.clientHeight * scale];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((made) => save(made, `${name}.png`));
  };
  image.src = URL.createObjectURL(blob);
}
