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
  };
}
