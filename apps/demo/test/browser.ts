import { existsSync } from 'node:fs';
import embedded from '@sparticuz/chromium';
import { type Browser, chromium } from 'playwright-core';

const installed = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const switches = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** A name that is not localhost: browsers take its pages for insecure. */
const withoutGpu = ['--disable-gpu', '--host-resolver-rules=MAP star.test 127.0.0.1'];
const softwareGpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** Opens an installed Chromium, else the one inside an npm package; WebGPU runs on SwiftShader, or has no adapter. */
export async function openBrowser({ webgpu = true }: { webgpu?: boolean } = {}): Promise<Browser> {
  const executablePath = installed.find(existsSync) ?? (await embedded.executablePath());
  const gpu = webgpu ? softwareGpu : withoutGpu;
  return chromium.launch({ executablePath, args: [...switches, ...gpu] });
}
