import { bindingAlignment } from '../device/buffer-pool.ts';
import { bytesPerElement } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Gemm, WindowUniforms } from './gemm.ts';
import { bindable, isBindable, part, partAlong, rowRuns, rowsPart, rowStep, type Run, runsOf } from './parts.ts';

/** The products that make up one whose tensors are too large to bind: by matrices, by rows, or by bands of a picture. Itself where all fit. */
export function* productParts(given: Gemm): Iterable<Gemm> {
  const product = { ...given, b: bindable(given.b) };
  const { c, batch = 1, window, transposeA } = product;
  if ([product.a, product.b, c, ...rowwise(product)].every(isBindable)) yield product;
  else if (window?.kind === 'forward' || window?.kind === 'corner') yield* bands(product, window);
  else if (batch > 1) yield* matrices(product, batch);
  else if (window || transposeA) yield product;
  else yield* rows(product);
}

/** Tensors of a finish that have the result's rows. */
const rowwise = ({ M, N, residual, keep, gate }: Gemm): Tensor[] =>
  [residual, keep, gate && gate.size === M * N ? gate : undefined].filter((x) => x !== undefined);

function* matrices(product: Gemm, batch: number): Iterable<Gemm> {
  const { a, b, c, M, N, batchA = 0, batchB = 0 } = product;
  for (let z = 0; z < batch; z++) {
    const own = { batch: 1, batchA: 0, batchB: 0, a: elementsFrom(a, z * batchA, batchA || a.size) };
    const bZ = b.view([batchB || b.size - b.offset], [1], b.offset + z * batchB);
    yield* productParts({ ...product, ...own, b: part(bZ), c: elementsFrom(c, z * M * N, M * N) });
  }
}

/** So many elements of a packed tensor, from where a binding may start. */
function elementsFrom(x: Tensor, start: number, count: number): Tensor {
  const cut = partAlong(x.view([x.size]), 0, [start, start + count]);
  check(
    'matmul',
    cut.offset === 0,
    () =>
      `matrices of [${x.shape}] must begin at multiples of ${bindingAlignment} bytes to be bound one by one, got ${start * bytesPerElement[x.dtype]}. Use an adapter with larger bindings.`,
  );
  return cut;
}

function* rows(product: Gemm): Iterable<Gemm> {
  const { a, c, M, residual, keep, gate } = product;
  const own = [a, c, ...rowwise(product)];
  for (const run of rowRuns('matmul', M, own)) {
    const cut = (x: Tensor): Tensor => (own.includes(x) ? rowsPart(x, M, run) : x);
    yield {
      ...product,
      a: cut(a),
      c: cut(c),
      M: run[1] - run[0],
      ...(residual && { residual: cut(residual) }),
      ...(keep && { keep: cut(keep) }),
      ...(gate && { gate: cut(gate) }),
    };
  }
}

type Window = NonNullable<Gemm['window']>;

/** A window as its bands see it: rows that the four corners of a pixel see together, and elements that a row of pixels makes. */
function reachOf({ kind, uniforms }: Window, N: number): { readonly window: WindowUniforms; readonly rowSize: number } {
  const rowSize = uniforms.outWidth * N;
  if (kind !== 'corner') return { window: uniforms, rowSize };
  return { window: { ...uniforms, kernelHeight: uniforms.kernelHeight + 1 }, rowSize: 4 * rowSize };
}

/** A convolution picture by picture, each in bands of its output's rows with the rows of the input that they see. */
function* bands(product: Gemm, given: Window): Iterable<Gemm> {
  const { a, c, M, N, residual, keep } = product;
  const { window, rowSize } = reachOf(given, N);
  const { inHeight, inWidth, channels, outHeight, outWidth } = window;
  const pictures = M / (outHeight * outWidth);
  const source = a.view([pictures * inHeight, inWidth * channels]);
  const runs = bandRuns(product, window, rowSize);
  for (let picture = 0; picture < pictures; picture++)
    for (const band of runs) {
      const seen = seenRows(window, band, rowStep(source, source.shape[0]!));
      const place = (x: Tensor): Tensor =>
        started(partAlong(x.view([pictures * outHeight, rowSize]), 0, shifted(band, picture * outHeight)));
      yield {
        ...product,
        a: started(partAlong(source, 0, shifted(seen, picture * inHeight))),
        c: place(c),
        ...(residual && { residual: place(residual) }),
        ...(keep && { keep: place(keep) }),
        M: (band[1] - band[0]) * outWidth,
        window: { kind: given.kind, uniforms: bandWindow(given.uniforms, band, seen) },
      };
    }
}

const shifted = ([start, end]: Run, by: number): Run => [start + by, end + by];

/** Rows of the input that a band of the output sees, from a row where a binding may start. */
function seenRows({ stride, padTop, kernelHeight, inHeight }: WindowUniforms, [start, end]: Run, step: number): Run {
  const first = Math.max(0, start * stride - padTop);
  return [first - (first % step), Math.min(inHeight, (end - 1) * stride - padTop + kernelHeight)];
}

/** The window over a band; rows above it count as padding, which may be negative where the input begins earlier. */
const bandWindow = (window: WindowUniforms, band: Run, seen: Run): WindowUniforms => ({
  ...window,
  inHeight: seen[1] - seen[0],
  outHeight: band[1] - band[0],
  padTop: window.padTop - band[0] * window.stride + seen[0],
});

/** Bands of a picture whose output and input can both be bound. */
function bandRuns({ a, c }: Gemm, window: WindowUniforms, rowSize: number): readonly Run[] {
  const { inHeight, inWidth, channels, outHeight, stride, kernelHeight } = window;
  const limit = c.storage.device.largestBindingBytes;
  const [inBytes, outBytes] = [inWidth * channels * bytesPerElement[a.dtype], rowSize * bytesPerElement[c.dtype]];
  const [inStep, outStep] = [rowStep(a, a.size / (inWidth * channels)), rowStep(c, c.size / rowSize)];
  const visible = Math.floor(limit / inBytes) - (inStep - 1) - (kernelHeight - stride);
  const most = Math.min(Math.floor(visible / stride), Math.floor(limit / outBytes));
  const whole = inHeight * inBytes <= limit && outHeight * outBytes <= limit;
  const band = whole ? outHeight : Math.floor(most / outStep) * outStep;
  check(
    'conv2d',
    band > 0,
    () =>
      `a band of ${outStep} rows of [${c.shape}] and the input that it sees must each fit one binding of ${limit} bytes, got ${outStep * outBytes} and ${(kernelHeight + inStep) * inBytes}. Use f16, or an adapter with larger bindings.`,
  );
  return runsOf(outHeight, band);
}

/** A part that begins where a binding may. */
function started(x: Tensor): Tensor {
  check(
    'conv2d',
    x.offset === 0,
    () =>
      `pictures must begin at multiples of ${bindingAlignment} bytes to be bound one by one, got rows of ${x.shape[1]} ${x.dtype}. Draw fewer at once.`,
  );
  return x;
}
