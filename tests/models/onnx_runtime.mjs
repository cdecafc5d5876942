// SPDX-License-Identifier: Apache-2.0
// Runs models through ONNX Runtime and compares what it gives with what is beside them in files.
//
//     node onnx_runtime.mjs [--engine onnxruntime-node] FOLDER...
//
// Each folder has a tasks.json, as tests/support/onnx_tasks.hpp writes it. The engine is onnxruntime-web
// (WebAssembly) unless another is named.
//
// On one thread, and at the levels of optimization that a task names: `disabled` is the graph as it stands in
// the file.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// The package is installed where this is run, not beside this file.
const require = createRequire(join(process.cwd(), 'package.json'));
const folders = process.argv.slice(2);
const engine = folders[0] === '--engine' ? folders.splice(0, 2)[1] : 'onnxruntime-web';
const provider = engine === 'onnxruntime-web' ? 'wasm' : 'cpu';
const module = await import(pathToFileURL(require.resolve(engine)));
const ort = module.InferenceSession ? module : module.default;
if (ort.env.wasm) ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

const floats = (file) => {
    const bytes = readFileSync(file);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
};

// A processor without VNNI adds products of 8-bit data and weights in 16 bits, which saturate (docs/export.md),
// unless it is told not to.
const saturates = provider === 'cpu' && existsSync('/proc/cpuinfo') &&
    !/vnni/.test(readFileSync('/proc/cpuinfo', 'utf8'));
const options = saturates ? { extra: { session: { x64quantprecision: '1' } } } : {};

/** What differs between a task's outputs and ONNX Runtime's: a text, or null. `worst` is kept up to date. */
async function differs(task, level, folder, worst) {
    const session = await ort.InferenceSession.create(readFileSync(task.model),
        { executionProviders: [provider], graphOptimizationLevel: level, logSeverityLevel: 3, ...options });
    try {
        const feeds = {};
        task.inputs.forEach((input) => {
            const data = floats(join(folder, input.file));
            feeds[input.name] = input.type === 'int64'
                ? new ort.Tensor('int64', BigInt64Array.from(data, (v) => BigInt(v)), input.shape)
                : new ort.Tensor('float32', data, input.shape);
        });
        const results = await session.run(feeds);
        for (const output of task.outputs) {
            const found = results[output.name], expected = floats(join(folder, output.file));
            if (!found) return `it has no output ${output.name}`;
            // A network's shape is [1] where the model's is [].
            if (String(found.dims.length ? found.dims : [1]) !== String(output.shape))
                return `${output.name} is [${found.dims}], ours is [${output.shape}]`;
            let largest = 0, difference = 0;
            for (let i = 0; i !== expected.length; ++i) {
                const a = Number(found.data[i]), b = expected[i];
                if (a === b || (Number.isNaN(a) && Number.isNaN(b))) {
                    if (Number.isFinite(a)) largest = Math.max(largest, Math.abs(a));
                    continue;
                }
                largest = Math.max(largest, Math.abs(a));
                difference = Math.max(difference, Number.isFinite(a - b) ? Math.abs(a - b) : Infinity);
            }
            const relative = largest > 0 ? difference / largest : difference;
            worst.relative = Math.max(worst.relative, relative);
            if (!(relative <= task.tolerance))
                return `${output.name} differs by ${difference} of ${largest}, ${relative.toExponential(2)}`;
        }
        return null;
    } finally {
        await session.release();
    }
}

let failed = 0;
for (const folder of folders) {
    const worst = { relative: 0 };
    const tasks = JSON.parse(readFileSync(join(folder, 'tasks.json')));
    let equal = 0, runs = 0;
    for (const task of tasks)
        for (const level of task.levels) {
            let wrong;
            try {
                wrong = await differs(task, level, folder, worst);
            } catch (error) {
                wrong = `ONNX Runtime: ${error.message ?? error}`;
            }
            ++runs;
            if (wrong) console.log(`${task.model}, optimizations ${level}: ${wrong}`);
            if (wrong) ++failed; else ++equal;
        }
    console.log(`models: ${folder}: ${equal} of ${runs} runs equal ONNX Runtime's` +
        `${engine === 'onnxruntime-web' ? '' : ` (${engine})`}, at most ` +
        `${worst.relative.toExponential(1)} of the largest output`);
    if (runs === 0) ++failed;
}
process.exit(failed === 0 ? 0 : 1);
