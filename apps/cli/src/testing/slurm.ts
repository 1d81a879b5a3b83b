import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { startRanks } from '@star-webgpu/tensor-webgpu/testing';

/** True, with the reason printed, where a cluster of Slurm's own daemons cannot be started. */
export function isSlurmMissing(): boolean {
  const programs = ['munged', 'slurmctld', 'slurmd', 'srun'];
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error);
  if (process.getuid?.() !== 0) missing.push('root');
  if (missing.length > 0) process.stderr.write(`skipped: tests under Slurm want ${missing.join(', ')}.\n`);
  return missing.length > 0;
}

/** A cluster of two nodes on this machine. */
export interface Slurm {
  /** Starts a command on so many ranks, spread over the nodes. */
  readonly startRanks: typeof startRanks;
  /** Sends a signal to all ranks of the step that runs. */
  readonly signalStep: (signal: 'USR1' | 'TERM') => void;
  readonly stop: () => Promise<void>;
}

const nodes = ['left', 'right'];

/** Starts MUNGE, the controller and a daemon for each node, with all of their files in a folder that `stop` removes. */
export async function startSlurm(): Promise<Slurm> {
  const folder = await mkdtemp(join(tmpdir(), 'star-slurm-'));
  const at = (name: string): string => join(folder, name);
  const environment = { ...process.env, SLURM_CONF: at('slurm.conf') };
  const [ctldPort, ...nodePorts] = await freePorts(1 + nodes.length);
  await mkdir(at('state'));
  await writeFile(at('munge.key'), randomBytes(128), { mode: 0o400 });
  const settings = [
    'ClusterName=test',
    `SlurmctldHost=${hostname()}(127.0.0.1)`,
    `SlurmctldPort=${ctldPort}`,
    'SlurmUser=root',
    'AuthType=auth/munge',
    `AuthInfo=socket=${at('munge.socket')}`,
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'MpiDefault=pmi2',
    'ReturnToService=2',
    `StateSaveLocation=${at('state')}`,
    `SlurmdSpoolDir=${at('spool-%n')}`,
    `SlurmctldPidFile=${at('controller.pid')}`,
    `SlurmdPidFile=${at('%n.pid')}`,
    ...nodes.map((node, i) => `NodeName=${node} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${nodePorts[i]}`),
    'PartitionName=all Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:4',
  ];
  await writeFile(at('slurm.conf'), `${settings.join('\n')}\n`);
  const mungeFiles = ['key-file', 'socket', 'pid-file', 'log-file', 'seed-file'].map(
    (option) => `--${option}=${at(`munge.${option.replace('-file', '')}`)}`,
  );
  const daemon = (program: string, ...args: string[]): ChildProcess =>
    spawn(program, args, { env: environment, stdio: 'ignore' });
  const daemons = [
    daemon('munged', '--foreground', '--force', ...mungeFiles),
    daemon('slurmctld', '-D'),
    ...nodes.map((node) => daemon('slurmd', '-D', '-N', node)),
  ];
  const stop = async (): Promise<void> => {
    const running = daemons.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    const ends = running.map((child) => once(child, 'exit'));
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(ends);
    await rm(folder, { recursive: true });
  };
  const ask = (program: string, ...args: string[]): string =>
    spawnSync(program, args, { env: environment, encoding: 'utf8' }).stdout;
  for (
    let tries = 0;
    ask('sinfo', '--noheader', '--states=idle', '--format=%D').trim() !== `${nodes.length}`;
    tries++
  ) {
    if (tries === 120) {
      const said = ask('sinfo');
      await stop();
      throw new Error(`slurm: ${nodes.length} nodes must be idle within a minute, got: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return {
    startRanks: (count, command, { cwd, env } = {}) =>
      spawn('srun', ['-N', `${nodes.length}`, '-n', `${count}`, '--wait=5', ...command], {
        cwd,
        env: { ...environment, ...env },
      }),
    signalStep: (signal) => {
      const [step = ''] = ask('squeue', '--steps', '--noheader', '--format=%i').trim().split('\n');
      ask('scancel', `--signal=${signal}`, step);
    },
    stop,
  };
}

/** Ports that nothing listens on. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address ? address.port : 0;
  });
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
