// SPDX-License-Identifier: Apache-2.0
// Runs the graphs of tests/conformance/onnx_random.cpp through ONNX Runtime and compares.
//
//     node onnx_random.mjs FOLDER...          # where onnxruntime-web is installed
//
// A graph whose outputs differ is printed; so are, by message, those that ONNX Runtime does not run.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(process.cwd(), 'package.json'));
const module = await import(pathToFileURL(require.resolve('onnxruntime-web')));
const ort = module.InferenceSession ? module : module.default;
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'fatal';

let graphs = 0, equal = 0, differ = 0, worst = 0;
const refused = new Map();
for (const folder of process.argv.slice(2)) {
    const bytes = readFileSync(join(folder, 'graphs.bin'));
    const part = ([at, size]) => bytes.subarray(at, at + size);
    const floats = (place) => new Float32Array(Uint8Array.from(part(place)).buffer);
    const all = JSON.parse(readFileSync(join(folder, 'graphs.json')));
    for (const [index, graph] of all.entries()) {
        ++graphs;
        let results, session;
        try {
            session = await ort.InferenceSession.create(Uint8Array.from(part(graph.model)),
                { executionProviders: ['wasm'], graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
            const feeds = {};
            for (const input of graph.inputs)
                feeds[input.name] = new ort.Tensor('float32', floats(input.at), input.shape);
            results = await session.run(feeds);
        } catch (error) {
            const why = String(error.message ?? error).replace(/v\d+/g, 'v').slice(0, 160);
            const last = graph.ops.split(' ').at(-1);
            const key = `${last}, opset ${graph.opset}: ${why}`;
            refused.set(key, [...(refused.get(key) ?? []), index]);
            continue;
        } finally {
            await session?.release();
        }
        const wrong = [];
        for (const output of graph.outputs) {
            const found = results[output.name], ours = floats(output.at);
            if (!found || String(found.dims.length ? found.dims : [1]) !== String(output.shape)) {
                wrong.push(`${output.name} is [${found?.dims}], ours is [${output.shape}]`);
                continue;
            }
            let largest = 0, difference = 0;
            for (let i = 0; i !== ours.length; ++i) {
                const a = found.data[i], b = ours[i];
                if (Number.isFinite(a)) largest = Math.max(largest, Math.abs(a));
                if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
                difference = Math.max(difference, Number.isFinite(a - b) ? Math.abs(a - b) : Infinity);
            }
            const relative = largest > 0 ? difference / largest : difference;
            if (difference <= 1e-5 * largest + output.tolerance + 1e-7) {
                worst = Math.max(worst, relative);
                continue;
            }
            wrong.push(`${output.name} [${output.shape}] differs by ${difference} of ${largest}`);
        }
        if (wrong.length === 0) ++equal;
        else {
            ++differ;
            console.log(`${folder} ${index}: opset ${graph.opset}, ${graph.ops}: ${wrong.join('; ')}`);
        }
    }
}
let unrun = 0;
for (const [why, list] of refused) {
    unrun += list.length;
    console.log(`not run by ONNX Runtime: ${list.length} (the first: ${list[0]}): ${why}`);
}
console.log(`random graphs: ${graphs}, of which ${equal} equal ONNX Runtime's (at most ` +
    `${worst.toExponential(1)} of the largest output), ${differ} differ, ${unrun} it does not run`);
process.exit(differ === 0 && equal > 0 ? 0 : 1);
