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
