/** Most workgroups along one axis that WebGPU grants everywhere. */
const maxGroups = 65_535;

/** Folds many workgroups into x and y; shaders rebuild the flat index with `flatGroup`. */
export function foldGrid(groups: number): readonly [number, number] {
  if (groups <= maxGroups) return [groups, 1];
  const y = Math.ceil(groups / maxGroups);
  return [Math.ceil(groups / y), y];
}

/** WGSL: the flat workgroup index of a folded grid; wants builtins `group` and `groups`. */
export const flatGroup = 'group.x + group.y * groups.x';

/** WGSL parameters of an entry point that uses `flatGroup` and a local index. */
export const flatParameters =
  '@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32';

/** How the invocations of a workgroup are shared out to rows. */
export interface RowLanes {
  /** Invocations of a workgroup; those of one subgroup if lanes shuffle. */
  readonly group: number;
  /** Neighbouring invocations that share a row; a power of two if they shuffle. */
  readonly lanes: number;
  /** Lanes talk by subgroup shuffles instead of workgroup memory. */
  readonly shuffles: boolean;
}

/** WGSL, module scope: what `sumLanes` needs. */
export const laneMemory = ({ group, shuffles }: RowLanes): string =>
  shuffles ? '' : `var<workgroup> lane_parts: array<f32, ${group}>;`;

/** WGSL: replaces a variable by its fold over the lanes of a row, in an order that depends on the number of lanes only. Uniform control flow. */
export function foldLanes({ lanes, shuffles }: RowLanes, name: string, fold: (a: string, b: string) => string): string {
  if (lanes === 1) return '';
  const first = `local - local % ${lanes}u`;
  if (!shuffles)
    return `workgroupBarrier(); lane_parts[local] = ${name}; workgroupBarrier(); ${name} = lane_parts[${first}];
    for (var i = ${first} + 1u; i < ${first} + ${lanes}u; i++) { ${name} = ${fold(name, 'lane_parts[i]')}; }`;
  const steps: string[] = [];
  for (let offset = 1; offset < lanes; offset *= 2)
    steps.push(`${name} = ${fold(name, `subgroupShuffleXor(${name}, ${offset}u)`)};`);
  return steps.join(' ');
}

/** WGSL: the same for a sum. */
export const sumLanes = (lanes: RowLanes, name: string): string => foldLanes(lanes, name, (a, b) => `${a} + ${b}`);

/** WGSL parameters like `flatParameters`, where `local` counts lanes. */
export const laneParameters = ({ shuffles }: RowLanes): string =>
  shuffles ? flatParameters.replace('local_invocation_index', 'subgroup_invocation_id') : flatParameters;
