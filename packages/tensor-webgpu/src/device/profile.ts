/** Sides of the matrices that an adapter multiplies in hardware: C is m x n, A m x k, B k x n. */
interface MatrixSides {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What an adapter offers, in the terms that kernels choose by. */
export interface Profile {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** True for software adapters: lavapipe, SwiftShader. */
  readonly isCpu: boolean;
  readonly f16: boolean;
  /** The one size of all subgroups, or 0 where subgroups are missing or vary. */
  readonly subgroupSize: number;
  readonly timestamps: boolean;
  /** Matrices of halves summed in f32, where the adapter has such units. */
  readonly matrix: MatrixSides | undefined;
}

/** One kind of matrix that an adapter lists; newer than the types of WebGPU. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** The largest matrices of halves with f32 sums. */
function matrixOf(info: GPUAdapterInfo): MatrixSides | undefined {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: readonly MatrixConfig[] };
  const [best] = [...subgroupMatrixConfigs]
    .filter(({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32')
    .toSorted((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  return best && { m: best.M, n: best.N, k: best.K };
}

const cpuNames = /llvmpipe|lavapipe|swiftshader|software|subzero/i;

/** Reads an adapter's info and features into a profile. */
export function profileOf(adapter: GPUAdapter): Profile {
  const { vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize } = adapter.info;
  const hasSubgroups = adapter.features.has('subgroups') && subgroupMinSize === subgroupMaxSize;
  return {
    vendor,
    architecture,
    device,
    description,
    isCpu: adapter.info.isFallbackAdapter || cpuNames.test(`${vendor} ${architecture} ${device} ${description}`),
    f16: adapter.features.has('shader-f16'),
    subgroupSize: hasSubgroups ? (subgroupMaxSize ?? 0) : 0,
    timestamps: adapter.features.has('timestamp-query'),
    matrix: matrixOf(adapter.info),
  };
}
