import { library } from '../../tsup.base.ts';

export default library({
  entry: [
    'src/index.ts',
    'src/device/node.ts',
    'src/io/torch/index.ts',
    'src/testing/index.ts',
    'src/tuning/browser.ts',
  ],
});
