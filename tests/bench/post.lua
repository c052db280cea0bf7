-- Single Mixbot events of about 375 bytes, a thousand sessions in turn.
local requests = {}
local at = 0

function init(args)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    for i = 1, 1000 do
        local body = string.format(
            '{"timestamp":"%s","session_id":"sess_%06d_7f3a9c1e52b8","action":"File Uploaded",' ..
            '"consent":{"product":true},"details":{"file_name":"My Secret Demo (feat. Jane Doe) take %04d.wav",' ..
            '"file_size":%d,"file_type":"audio/x-wav","folder":"/home/jane/Music","bpm":128,"key":"F#m"},' ..
            '"context":{"url":"https://mixbot.example/upload?utm_source=mail","title":"Mixbot - upload"}}',
            args[1], i, i, 40000000 + i)
        requests[i] = wrk.format(nil, args[2], nil, body)
    end
end

function request()
    at = at % 1000 + 1
    return requests[at]
end
