// Moves the blend shapes of this object with what  duomorph live --sink osc://127.0.0.1:9000  sends.
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Text;
using UnityEngine;

[RequireComponent(typeof(SkinnedMeshRenderer))]
public class DuomorphFace : MonoBehaviour
{
    public int port = 9000;
    public bool thisMachineOnly = true;

    UdpClient socket;
    IPEndPoint sender;
    SkinnedMeshRenderer face;
    readonly Dictionary<string, int> shapes = new Dictionary<string, int>();

    void OnEnable()
    {
        socket = new UdpClient(new IPEndPoint(thisMachineOnly ? IPAddress.Loopback : IPAddress.Any, port));
        socket.Client.Blocking = false;
        face = GetComponent<SkinnedMeshRenderer>();
        for (int i = 0; i < face.sharedMesh.blendShapeCount; i++) shapes[Key(face.sharedMesh.GetBlendShapeName(i))] = i;
    }

    void OnDisable() { socket.Close(); }

    void Update()
    {
        try
        {
            while (socket.Available > 0)
                foreach (var value in Read(socket.Receive(ref sender)))
                    if (shapes.TryGetValue(Key(value.Key), out int shape))
                        face.SetBlendShapeWeight(shape, 100 * value.Value);
        }
        catch (SocketException) { }  // nobody sends, or our answer found nobody
    }

    public void Silence() { Say("/duomorph/silence"); }
    public void BeginAnew() { Say("/duomorph/reset"); }

    void Say(string address)
    {
        var message = new byte[(address.Length / 4 + 1) * 4 + 4];
        Encoding.ASCII.GetBytes(address, 0, address.Length, message, 0);
        message[message.Length - 4] = (byte)',';
        if (sender != null) socket.Send(message, message.Length, sender);
    }

    // Face.JawOpen, jawOpen and jaw_open are one shape; so are mouthSmile_L and mouthSmileLeft.
    static string Key(string name)
    {
        name = name.Substring(name.LastIndexOf('.') + 1);
        if (name.EndsWith("_L")) name = name.Substring(0, name.Length - 2) + "Left";
        if (name.EndsWith("_R")) name = name.Substring(0, name.Length - 2) + "Right";
        return name.Replace("_", "").ToLowerInvariant();
    }

    // The shapes in a bundle: every message /duomorph/NAME with one number.
    public static IEnumerable<KeyValuePair<string, float>> Read(byte[] packet)
    {
        for (int at = 16; at + 4 <= packet.Length;)
        {
            int size = Int32(packet, at), end = at + 4 + size;
            if (size < 20 || size > packet.Length - at - 4) yield break;  // not ours
            string address = Encoding.ASCII.GetString(packet, at + 4, Array.IndexOf(packet, (byte)0, at + 4) - at - 4);
            if (address.StartsWith("/duomorph/") && packet[end - 7] == 'f' && packet[end - 6] == 0)
                yield return new KeyValuePair<string, float>(
                    address.Substring(10), BitConverter.ToSingle(BitConverter.GetBytes(Int32(packet, end - 4)), 0));
            at = end;
        }
    }

    static int Int32(byte[] data, int at) { return IPAddress.NetworkToHostOrder(BitConverter.ToInt32(data, at)); }
}
