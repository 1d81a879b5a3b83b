import { library } from '../../tsup.base.ts';

export default library({ entry: ['src/index.ts', 'src/mpi-thread.js', 'src/write-worker.js'] });
