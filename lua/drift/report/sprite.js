// sprite.js: many pictures in one PNG, taken apart again.
//   sprites(list) -> Promise of the list with `pixels`, an ImageData of each     decoded once, kept by address
const decoded = new Map();

function decode(uri) {
  if (!decoded.has(uri)) {
    decoded.set(uri, new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => {
        const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        resolve(context.getImageData(0, 0, canvas.width, canvas.height));
      };
      image.onerror = () => reject(new Error("a picture in this page cannot be decoded"));
      image.src = uri;
    }));
  }
  return decoded.get(uri);
}

// Pictures that the data no longer have.
function forget(pictures) {
  const there = new Set(pictures.map((p) => p.uri));
  for (const uri of decoded.keys()) if (!there.has(uri)) decoded.delete(uri);
}

// Puts pictures into the part that waited for them.
function arrived(host, asked, ...nodes) {
  host.replaceChildren(...nodes);
  host.style.minHeight = "";
  host.dataset.ready = String(asked);
}

// |a - b| times gain, of two ImageData of one size; mean: of |a - b| in [0, 1]
function absoluteDifference(a, b, gain) {
  const out = new ImageData(a.width, a.height);
  let sum = 0;
  for (let i = 0; i < a.data.length; i += 4) {
    for (let c = 0; c < 3; c++) {
      const d = Math.abs(a.data[i + c] - b.data[i + c]);
      sum += d;
      out.data[i + c] = Math.min(255, d * gain);
    }
    out.data[i + 3] = 255;
  }
  return { pixels: out, mean: sum / (255 * 3 * a.width * a.height) };
}

// Pictures of a sprite, given by their numbers in it, into a canvas, `columns` to a row, one pixel apart.
function lay(canvas, pixels, sprite, numbers, columns) {
  const { width: w, height: h } = sprite, across = Math.max(1, Math.round(pixels.width / w));
  const rows = Math.ceil(numbers.length / columns);
  canvas.width = columns * (w + 1) - 1;
  canvas.height = rows * (h + 1) - 1;
  const context = canvas.getContext("2d");
  numbers.forEach((number, k) => {
    const sx = (number % across) * w, sy = Math.floor(number / across) * h;
    const dx = (k % columns) * (w + 1), dy = Math.floor(k / columns) * (h + 1);
    context.putImageData(pixels, dx - sx, dy - sy, sx, sy, w, h);
  });
}

// How wide pictures are shown: small ones two or three times as large, so that one sees them; pixels stay sharp then.
function shownWidth(width, least) { return width * Math.max(1, Math.ceil(least / width)); }

function labelOf(data, item) { return data.variants[item.variant].label; }

function upTo(n) { return Array.from({ length: n }, (_, k) => k); }
