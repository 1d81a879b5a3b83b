import { library } from '../../tsup.base.ts';

export default library({ entry: ['src/index.ts', 'src/distributed/mpi/mpi-thread.js', 'src/write-worker.js'] });
