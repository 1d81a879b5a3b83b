import { fileURLToPath } from 'node:url';
import { checkRepository } from './check-layers.ts';

const faults = checkRepository(fileURLToPath(new URL('..', import.meta.url)));
for (const fault of faults) console.error(fault);
process.exit(faults.length ? 1 : 0);
