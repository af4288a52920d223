// A face of few lines on a canvas, moved by the ARKit curves; left and right are the face's own.
export function draw(pen, w) {
  const size = pen.canvas.width / 2;
  pen.resetTransform();
  pen.clearRect(0, 0, 2 * size, 2 * size);
  pen.setTransform(size, 0, 0, size, size, size);  // -1 to 1, y down

  const fill = (color, path) => { pen.beginPath(); path(); pen.fillStyle = color; pen.fill(); };
  const line = (color, width, path) => {
    pen.beginPath(); path();
    Object.assign(pen, { strokeStyle: color, lineWidth: width, lineCap: "round", lineJoin: "round" });
    pen.stroke();
  };
  fill("#e8b89b", () => pen.ellipse(0, 0.05 * w.jawOpen, 0.7, 0.85 + 0.07 * w.jawOpen, 0, 0, 2 * Math.PI));

  for (const [side, sign] of [["Left", 1], ["Right", -1]]) {
    const of = (name) => w[name + side], x = 0.28 * sign;
    const open = Math.max(0.03, 1 - of("eyeBlink") - 0.4 * of("eyeSquint") + 0.4 * of("eyeWide"));
    fill("white", () => pen.ellipse(x, -0.2, 0.14, 0.09 * open, 0, 0, 2 * Math.PI));
    const aside = sign * (of("eyeLookOut") - of("eyeLookIn")), down = of("eyeLookDown") - of("eyeLookUp");
    pen.save();
    pen.clip();
    fill("#20303c", () => pen.arc(x + 0.07 * aside, -0.2 + 0.05 * down, 0.06, 0, 2 * Math.PI));
    pen.restore();
    const outer = -0.4 - 0.1 * of("browOuterUp") + 0.06 * of("browDown");
    const inner = -0.4 - 0.1 * w.browInnerUp + 0.08 * of("browDown");
    line("#6b4a36", 0.04, () => { pen.moveTo(x - 0.14 * sign, inner); pen.lineTo(x + 0.14 * sign, outer); });
  }

  // The mouth: two corners, and how far each lip is from the line between them.
  const mean = (name) => (w[`${name}Left`] + w[`${name}Right`]) / 2;
  const half = 0.3 * (1 - 0.45 * w.mouthPucker - 0.3 * w.mouthFunnel + 0.2 * (mean("mouthSmile") + mean("mouthStretch")));
  const corner = (sign, side) => [sign * half, 0.42 - 0.12 * (w[`mouthSmile${side}`] - w[`mouthFrown${side}`])];
  const gap = Math.max(0, w.jawOpen - w.mouthClose), lip = 0.025 + 0.03 * (w.mouthPucker + w.mouthFunnel);
  const upper = 0.42 - 0.12 * mean("mouthUpperUp") - 0.1 * w.mouthFunnel * gap;
  const lower = 0.42 + 0.55 * gap + 0.12 * mean("mouthLowerDown") * Math.min(1, 4 * gap);
  const [left, right] = [corner(1, "Left"), corner(-1, "Right")];
  const mouth = () => {
    pen.moveTo(...right);
    pen.quadraticCurveTo(0, 2 * upper - 0.42, ...left);
    pen.quadraticCurveTo(0, 2 * lower - 0.42, ...right);
    pen.closePath();
  };
  fill("#3a0d12", mouth);
  line("#b0434a", lip * (1 - 0.5 * (w.mouthRollLower + w.mouthRollUpper) / 2), mouth);
}
