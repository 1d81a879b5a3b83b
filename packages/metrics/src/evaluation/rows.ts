/** One measured number, with all that one must know to compare it. */
export interface MetricRow {
  /** Short name for machines: `fid`, `kid`, `clip`. */
  readonly id: string;
  readonly name: string;
  readonly value: number;
  /** Standard deviation over splits or subsets. */
  readonly deviation?: number;
  readonly better: 'lower' | 'higher';
  /** How it was measured: network, layer, sizes, numbers of pictures. */
  readonly protocol: string;
}
