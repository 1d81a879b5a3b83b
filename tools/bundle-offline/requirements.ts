/** What programs ask of the machine's C and C++ libraries: the newest versions that they name. */
export interface Requirements {
  readonly glibc: string;
  readonly glibcxx: string;
}

/** Compares versions number by number. */
const newer = (a: string, b: string): number => {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  const at = left!.findIndex((number, i) => number !== (right![i] ?? 0));
  return at < 0 ? left!.length - right!.length : left![at]! - (right![at] ?? 0);
};

function newest(programs: readonly Buffer[], symbol: string): string {
  const pattern = new RegExp(`\\0${symbol}_(\\d+(?:\\.\\d+)+)(?=\\0)`, 'g');
  const versions = programs.flatMap((bytes) =>
    [...bytes.toString('latin1').matchAll(pattern)].map((found) => found[1]!),
  );
  return versions.toSorted(newer).at(-1) ?? '0';
}

/** The newest symbol versions that ELF files name in their string tables. */
export const requirementsOf = (programs: readonly Buffer[]): Requirements => ({
  glibc: newest(programs, 'GLIBC'),
  glibcxx: newest(programs, 'GLIBCXX'),
});

/** Requirements in words. */
export const inWords = ({ glibc, glibcxx }: Requirements): string =>
  `glibc ${glibc} and a libstdc++ with GLIBCXX_${glibcxx}, or newer`;
