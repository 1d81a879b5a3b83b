export { type CpuPeak, cpuPeak } from './harness/cpu-peak.ts';
export { reportOf } from './harness/report.ts';
export { type RowResult, runRow, type RunOptions, timeAll, type Timed } from './harness/run-row.ts';
export { loadPeers } from './peers/index.ts';
export { tensorRows } from './rows/index.ts';
